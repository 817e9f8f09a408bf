#include "baozi/engine/onnx/graph_cuts.h"

#include <gmock/gmock.h>

#include "baozi/base/error.h"

namespace baozi::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::size_t> befores(const std::vector<CutPlace>& places) {
  std::vector<std::size_t> found;
  for (const CutPlace& place : places) found.push_back(place.before);
  return found;
}

// a ─ b ─ c ─ d, each with its weights.
std::vector<GraphStep> line(const std::vector<std::uint64_t>& bytes) {
  std::vector<GraphStep> steps;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    steps.push_back({{i == 0 ? "input" : "v" + std::to_string(i - 1), "w" + std::to_string(i)},
                     {"v" + std::to_string(i)},
                     bytes[i]});
  return steps;
}

TEST(GraphCuts, ALineCanBeCutEverywhere) {
  const std::vector<CutPlace> places = find_places(line({1, 2, 3, 4}));
  EXPECT_THAT(befores(places), ElementsAre(1, 2, 3));
  for (const CutPlace& place : places) {
    EXPECT_EQ(place.crossing, 1u);
    EXPECT_EQ(place.total, 10u);
  }
  EXPECT_EQ(places[1].bytes, 3u);
}

TEST(GraphCuts, WhatIsUsedLaterCrossesUpToItsLastUse) {
  // The first value goes around the middle, as a residual does.
  const std::vector<GraphStep> steps{{{"input"}, {"a"}, 0},
                                     {{"a"}, {"b"}, 0},
                                     {{"b"}, {"c"}, 0},
                                     {{"a", "c"}, {"d"}, 0},
                                     {{"d"}, {"e"}, 0}};
  std::vector<std::size_t> crossing;
  for (const CutPlace& place : find_places(steps)) crossing.push_back(place.crossing);
  EXPECT_THAT(crossing, ElementsAre(1, 2, 2, 1));
}

TEST(GraphCuts, WhereTooManyValuesCrossIsNoPlace) {
  GraphStep many{{"input"}, {}, 0};
  GraphStep all{{}, {"out"}, 0};
  for (std::size_t i = 0; i <= kCrossingMax; ++i) many.makes.push_back("v" + std::to_string(i));
  all.uses = many.makes;
  EXPECT_THAT(find_places(std::vector{many, all}), IsEmpty());
  many.makes.pop_back();
  EXPECT_EQ(find_places(std::vector{many, all}).size(), 1u);
}

TEST(GraphCuts, OneNodeHasNoPlace) {
  EXPECT_THAT(find_places(line({7})), IsEmpty());
  EXPECT_THAT(find_places({}), IsEmpty());
}

TEST(GraphCuts, NodesOutOfOrderAreRefused) {
  const std::vector<GraphStep> steps{{{"b"}, {"a"}, 0}, {{"input"}, {"b"}, 0}};
  EXPECT_THROW(find_places(steps), Error);
}

TEST(GraphCuts, PartsAreOfLikeWeight) {
  const std::vector<CutPlace> even = find_places(line({10, 10, 10, 10, 10, 10, 10, 10}));
  EXPECT_THAT(choose_cuts(even, 1), IsEmpty());
  EXPECT_THAT(choose_cuts(even, 2), ElementsAre(4));
  EXPECT_THAT(choose_cuts(even, 4), ElementsAre(2, 4, 6));
  EXPECT_THAT(choose_cuts(even, 8), ElementsAre(1, 2, 3, 4, 5, 6, 7));
  // Most of it at the end, as in a convolutional network.
  EXPECT_THAT(choose_cuts(find_places(line({1, 1, 1, 1, 1, 1, 60, 60})), 2), ElementsAre(7));
  // And at the beginning, as a vocabulary is: a place is kept for each part that follows.
  EXPECT_THAT(choose_cuts(find_places(line({100, 1, 1})), 3), ElementsAre(1, 2));
}

TEST(GraphCuts, WithoutWeightsThereAreStillParts) {
  EXPECT_EQ(choose_cuts(find_places(line({0, 0, 0, 0})), 3).size(), 2u);
}

TEST(GraphCuts, FewerValuesMakeUpForASmallDistance) {
  std::vector<GraphStep> steps = line({1000, 1000, 3, 1000, 1000});
  // "x" crosses at the exact middle, and no more behind it.
  steps[0].makes.push_back("x");
  steps[2].uses.push_back("x");
  EXPECT_THAT(choose_cuts(find_places(steps), 2), ElementsAre(3));
}

}  // namespace
}  // namespace baozi::engine
