#include "baozi/pipeline/latency_model.h"

#include <gtest/gtest.h>

namespace baozi::pipeline {
namespace {

using namespace std::chrono_literals;

void feed(LatencyModel& model, int rows, Duration latency, int times = 8) {
  for (int i = 0; i < times; ++i) model.record(rows, true, latency);
}

TEST(LatencyModel, KnowsNothingAtFirst) {
  const LatencyModel model(32);
  EXPECT_TRUE(model.empty());
  EXPECT_EQ(model.estimate(8, true), 0ns);
  EXPECT_EQ(model.best_rows(32, true, 0ns), 1);
}

TEST(LatencyModel, EstimatesBetweenAndBeyondWhatItSaw) {
  LatencyModel model(32);
  feed(model, 2, 10ms);
  feed(model, 8, 22ms);
  EXPECT_EQ(model.estimate(1, true), 10ms);
  EXPECT_EQ(model.estimate(5, true), 16ms);
  EXPECT_EQ(model.estimate(16, true), 44ms);
}

TEST(LatencyModel, NeverDecreasesWithRows) {
  LatencyModel model(8);
  feed(model, 1, 10ms);
  feed(model, 2, 8ms);
  EXPECT_EQ(model.estimate(2, true), 10ms);
}

TEST(LatencyModel, PicksTheBestRateAndTheSmallerOfEquals) {
  LatencyModel text(32);
  for (const int rows : {1, 2, 4, 8, 16, 32}) feed(text, rows, 2ms + rows * 1ms);
  EXPECT_EQ(text.best_rows(32, true, 0ns), 32);
  EXPECT_EQ(text.best_rows(7, true, 0ns), 7);
  EXPECT_EQ(text.best_rows(32, true, 11ms), 8) << "within the latency bound";
  LatencyModel even(32);
  for (const int rows : {1, 2, 4, 8}) feed(even, rows, rows * 10ms);
  EXPECT_EQ(even.best_rows(8, true, 0ns), 1);
  LatencyModel convolution(8);
  feed(convolution, 1, 6500us);
  feed(convolution, 2, 12200us);
  feed(convolution, 8, 72ms);
  EXPECT_EQ(convolution.best_rows(8, true, 0ns), 2);
}

TEST(LatencyModel, OneSlowRunChangesLittle) {
  LatencyModel model(8);
  feed(model, 4, 10ms, 50);
  model.record(4, true, 5s);
  EXPECT_LT(model.estimate(4, true), 11ms);
}

TEST(LatencyModel, ASlowFirstRunIsForgotten) {
  LatencyModel model(8);
  model.record(1, true, 1s);
  feed(model, 1, 10ms, 20);
  EXPECT_LT(model.estimate(1, true), 30ms);
}

TEST(LatencyModel, KeepsCrowdedAndLonelyBatchesApart) {
  LatencyModel model(8);
  model.record(1, false, 5ms);
  EXPECT_EQ(model.estimate(1, true), 5ms) << "better than nothing";
  model.record(1, true, 9ms);
  EXPECT_EQ(model.estimate(1, false), 5ms);
  EXPECT_EQ(model.estimate(1, true), 9ms);
}

TEST(LatencyModel, NamesTheNeighbourToMeasureNext) {
  LatencyModel model(8);
  EXPECT_EQ(model.unmeasured_neighbour(1, 8, true), 0) << "first the size itself";
  feed(model, 1, 10ms);
  EXPECT_EQ(model.unmeasured_neighbour(1, 8, true), 2);
  EXPECT_EQ(model.unmeasured_neighbour(1, 1, true), 0);
  feed(model, 2, 30ms);
  EXPECT_EQ(model.unmeasured_neighbour(1, 8, true), 0);
  EXPECT_EQ(model.stalest(8, true), 3);
}

}  // namespace
}  // namespace baozi::pipeline
