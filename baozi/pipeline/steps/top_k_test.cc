#include "baozi/pipeline/steps/top_k.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "baozi/base/error.h"

namespace baozi::pipeline {
namespace {

std::vector<std::size_t> indices(const std::vector<RankedClass>& ranked) {
  std::vector<std::size_t> list;
  for (const RankedClass& one : ranked) list.push_back(one.index);
  return list;
}

const std::vector<std::string> kLabels{"cat", "dog", "bun"};

TEST(TopK, RanksBestFirstWithLabels) {
  const float scores[] = {0.1f, 0.7f, 0.15f, 0.05f};
  const auto ranked = top_k(scores, kLabels, {.k = 4}, "scores");
  EXPECT_THAT(indices(ranked), testing::ElementsAre(1, 2, 0, 3));
  EXPECT_EQ(ranked[0].label, "dog");
  EXPECT_EQ(ranked[0].score, 0.7f);
  EXPECT_EQ(ranked[3].label, "") << "there is no fourth label";
}

TEST(TopK, EqualScoresKeepTheirOrder) {
  const float scores[] = {1, 2, 2, 1, 2};
  EXPECT_THAT(indices(top_k(scores, {}, {.k = 5}, "scores")), testing::ElementsAre(1, 2, 4, 0, 3));
}

TEST(TopK, GivesNoMoreThanThereIs) {
  const float scores[] = {1, 2};
  EXPECT_EQ(top_k(scores, kLabels, {.k = 10}, "scores").size(), 2u);
  EXPECT_EQ(top_k(scores, kLabels, {.k = 0}, "scores").size(), 0u);
  EXPECT_EQ(top_k({}, kLabels, {.softmax = true}, "scores").size(), 0u);
}

TEST(TopK, SoftmaxSurvivesLargeLogits) {
  const float logits[] = {1000, 1001, -1000};
  const auto ranked = top_k(logits, kLabels, {.k = 3, .softmax = true}, "logits");
  EXPECT_NEAR(ranked[0].score, 1 / (1 + std::exp(-1.0f)), 1e-6);
  EXPECT_NEAR(ranked[0].score + ranked[1].score + ranked[2].score, 1, 1e-6);
}

TEST(TopK, ScoresThatAreNotFiniteNameTheTensor) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const float scores[] = {0, bad};
    try {
      top_k(scores, kLabels, {}, "probabilities");
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInternal);
      EXPECT_THAT(error.message(), testing::HasSubstr("'probabilities'"));
      EXPECT_THAT(error.message(), testing::HasSubstr("score 1"));
    }
  }
}

}  // namespace
}  // namespace baozi::pipeline
