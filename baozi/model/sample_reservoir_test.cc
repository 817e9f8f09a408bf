#include "baozi/model/sample_reservoir.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace baozi::model {
namespace {

// A request of that shape and number; whether it was taken.
bool offer(SampleReservoir& reservoir, std::uint64_t shape, std::int64_t number,
           std::size_t bytes = 10) {
  SampleReservoir::Place* place = reservoir.offer(shape, bytes);
  if (place == nullptr) return false;
  place->inputs = {{std::to_string(shape), Tensor::of<std::int64_t>({1}, {number})}};
  return true;
}

std::vector<std::string> shapes_in(const SampleReservoir& reservoir) {
  std::vector<std::string> shapes;
  for (const SampleReservoir::Place* place : reservoir.samples())
    shapes.push_back(place->inputs.front().name);
  return shapes;
}

TEST(SampleReservoir, KeepsSomeOfEachShapeTheMostFrequentFirst) {
  SampleReservoir reservoir(1 << 20);
  for (int i = 0; i < 3; ++i) offer(reservoir, 7, i);
  for (int i = 0; i < 100; ++i) offer(reservoir, 8, i);
  EXPECT_EQ(shapes_in(reservoir), (std::vector<std::string>{"8", "8", "8", "8", "7", "7", "7"}));
  EXPECT_EQ(reservoir.bytes(), 70u);
}

// Each of a hundred requests is among the four with a probability of 4 %.
TEST(SampleReservoir, EachRequestOfAShapeIsKeptAsLikely) {
  std::map<std::int64_t, int> kept;
  constexpr int kTimes = 5000;
  for (int seed = 0; seed < kTimes; ++seed) {
    SampleReservoir reservoir(1 << 20, static_cast<std::uint64_t>(seed) * 977);
    for (int i = 0; i < 100; ++i) offer(reservoir, 1, i);
    for (const SampleReservoir::Place* place : reservoir.samples())
      ++kept[place->inputs.front().tensor.values<std::int64_t>()[0]];
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_GT(kept[i], 130) << i;  // 200 expected, deviation 14
    EXPECT_LT(kept[i], 270) << i;
  }
}

TEST(SampleReservoir, ShapesThatAreSeldomDoNotPushOutFrequentOnes) {
  SampleReservoir reservoir(1 << 20);
  std::uint64_t seldom = 1000;
  for (int i = 0; i < 2000; ++i) {
    offer(reservoir, static_cast<std::uint64_t>(i % 4), i);
    offer(reservoir, seldom++, i);
  }
  const std::vector<std::string> shapes = shapes_in(reservoir);
  const std::set<std::string> first(shapes.begin(), shapes.begin() + 16);
  EXPECT_EQ(first, (std::set<std::string>{"0", "1", "2", "3"}));
  EXPECT_LE(shapes.size(), SampleReservoir::kShapesMax * SampleReservoir::kSamplesEach);
}

TEST(SampleReservoir, TheBytesAreBounded) {
  SampleReservoir reservoir(100);
  EXPECT_FALSE(offer(reservoir, 1, 0, 101));
  EXPECT_TRUE(offer(reservoir, 1, 0, 60));
  EXPECT_FALSE(offer(reservoir, 2, 0, 50));
  EXPECT_TRUE(offer(reservoir, 2, 0, 40));
  EXPECT_EQ(reservoir.bytes(), 100u);
  for (int i = 0; i < 1000; ++i) offer(reservoir, static_cast<std::uint64_t>(i % 50), i, 30);
  EXPECT_LE(reservoir.bytes(), 100u);
}

}  // namespace
}  // namespace baozi::model
