#include "baozi/model/warmup_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace baozi::model {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::ElementsAre;

// Runs one instance of the plan to its end on a virtual clock: "shape:rows" of each run.
struct Played {
  std::vector<std::string> order;  // without repetitions
  Duration elapsed{};
};

Played play(WarmupPlan& plan, int instance,
            const std::function<Duration(const WarmupRun&, int)>& latency) {
  Played played;
  int runs = 0;
  while (const auto run = plan.next(instance, played.elapsed)) {
    const std::string name = std::to_string(run->shape) + ":" + std::to_string(run->rows);
    if (played.order.empty() || played.order.back() != name) played.order.push_back(name);
    const Duration took = latency(*run, runs++);
    plan.took(instance, *run, took);
    played.elapsed += took;
  }
  return played;
}

std::vector<Duration> times(std::initializer_list<int> us) {
  std::vector<Duration> values;
  for (const int each : us) values.push_back(microseconds(each));
  return values;
}

TEST(WarmupPlan, GoesThroughEveryShapeBeforeTheNextSize) {
  WarmupPlan plan(1, std::vector{1, 1}, 4, milliseconds(500));
  const Played played = play(plan, 0, [](const WarmupRun&, int) { return microseconds(100); });
  EXPECT_THAT(played.order, ElementsAre("0:1", "1:1", "0:2", "1:2", "0:4", "1:4", "0:3", "1:3"));
}

TEST(WarmupPlan, SizesArePowersOfTwoTheLargestAndThenHalfSteps) {
  WarmupPlan plan(1, std::vector{1}, 6, milliseconds(500));
  const Played played = play(plan, 0, [](const WarmupRun&, int) { return microseconds(10); });
  EXPECT_THAT(played.order, ElementsAre("0:1", "0:2", "0:4", "0:6", "0:3"));
}

TEST(WarmupPlan, SamplesOfSeveralRowsMakeBatchesOfTheirMultiples) {
  WarmupPlan plan(1, std::vector{3, 5}, 8, milliseconds(500));
  const Played played = play(plan, 0, [](const WarmupRun&, int) { return microseconds(10); });
  EXPECT_THAT(played.order, ElementsAre("0:3", "1:5", "0:6"));
}

TEST(WarmupPlan, AModelThatTakesOneRowHasOneSize) {
  WarmupPlan plan(2, std::vector{1}, 1, milliseconds(500));
  EXPECT_EQ(plan.report().cells, 2u);
  EXPECT_THAT(play(plan, 1, [](const WarmupRun&, int) { return microseconds(10); }).order,
              ElementsAre("0:1"));
}

TEST(WarmupPlan, ASteadyLatencyHasConvergedAfterTwoWindows) {
  WarmupPlan plan(1, std::vector{1}, 1, milliseconds(500));
  play(plan, 0, [](const WarmupRun&, int) { return milliseconds(2); });
  const WarmupReport report = plan.report();
  EXPECT_EQ(report.runs, 6u);
  EXPECT_EQ(report.converged, 1u);
}

TEST(WarmupPlan, ALatencyThatFallsIsRunUntilItStays) {
  WarmupPlan plan(1, std::vector{1}, 1, milliseconds(500));
  play(plan, 0, [](const WarmupRun&, int number) {
    return Duration(milliseconds(number < 8 ? 20 - 2 * number : 4));
  });
  const WarmupReport report = plan.report();
  EXPECT_EQ(report.converged, 1u);
  EXPECT_GT(report.runs, 10u);
}

TEST(WarmupPlan, MediansDecideWhetherLatencyHasConverged) {
  EXPECT_TRUE(WarmupPlan::converged(times({1000, 1000, 1000, 1000, 1000, 1000})));
  EXPECT_TRUE(WarmupPlan::converged(times({1000, 9000, 1000, 1000, 1000, 9000})));
  EXPECT_TRUE(WarmupPlan::converged(times({1000, 1000, 1000, 1090, 1090, 1090})));
  EXPECT_FALSE(WarmupPlan::converged(times({1000, 1000, 1000, 1200, 1200, 1200})));
  EXPECT_FALSE(WarmupPlan::converged(times({9000, 8000, 1000, 1000, 1000, 1000})));
  EXPECT_TRUE(WarmupPlan::converged(times({20, 20, 20, 60, 60, 60}))) << "below what a wake costs";
}

TEST(WarmupPlan, NothingThatWouldNotEndInTimeIsBegun) {
  WarmupPlan plan(1, std::vector{1}, 32, milliseconds(100));
  const Played played =
      play(plan, 0, [](const WarmupRun& run, int) { return Duration(milliseconds(8) * run.rows); });
  EXPECT_LE(played.elapsed, milliseconds(100));
  const WarmupReport report = plan.report();
  EXPECT_GE(report.unsteady, 1u);
  EXPECT_GE(report.skipped, 2u);
  EXPECT_EQ(report.converged + report.unsteady + report.skipped, report.cells);
}

TEST(WarmupPlan, OneCellDoesNotSpendTheBudgetOfTheOthers) {
  WarmupPlan plan(1, std::vector{1, 1, 1, 1}, 1, milliseconds(100));
  const Played played = play(plan, 0, [](const WarmupRun& run, int number) {
    const bool wild = run.shape == 0;
    return Duration(wild ? milliseconds(1 + 9 * (number % 2)) : milliseconds(2));
  });
  EXPECT_THAT(played.order, ElementsAre("0:1", "1:1", "2:1", "3:1"));
  EXPECT_EQ(plan.report().skipped, 0u);
}

TEST(WarmupPlan, ARunThatIsOverdueEndsIt) {
  WarmupPlan plan(1, std::vector{1}, 8, milliseconds(10));
  play(plan, 0, [](const WarmupRun&, int) { return milliseconds(50); });
  const WarmupReport report = plan.report();
  EXPECT_EQ(report.runs, 1u);
  EXPECT_EQ(report.unsteady, 1u);
  EXPECT_EQ(report.skipped, 5u);
}

TEST(WarmupPlan, WithoutABudgetNothingRuns) {
  WarmupPlan plan(2, std::vector{1}, 8, Duration::zero());
  EXPECT_FALSE(plan.next(0, Duration::zero()));
  EXPECT_EQ(plan.progress(Duration::zero()), 1.0);
}

TEST(WarmupPlan, ADroppedShapeIsNotRunAgain) {
  WarmupPlan plan(2, std::vector{1, 1}, 2, milliseconds(500));
  plan.drop_shape(0);
  EXPECT_THAT(play(plan, 1, [](const WarmupRun&, int) { return microseconds(10); }).order,
              ElementsAre("1:1", "1:2"));
  EXPECT_EQ(plan.report().skipped, 6u) << "those of both instances, and what instance 0 has left";
}

TEST(WarmupPlan, ProgressRisesToOne) {
  WarmupPlan plan(1, std::vector{1}, 8, milliseconds(100));
  double last = plan.progress(Duration::zero());
  EXPECT_EQ(last, 0.0);
  Duration elapsed{};
  while (const auto run = plan.next(0, elapsed)) {
    plan.took(0, *run, milliseconds(1));
    elapsed += milliseconds(1);
    const double now = plan.progress(elapsed);
    EXPECT_GE(now, last);
    last = now;
  }
  EXPECT_EQ(plan.progress(elapsed), 1.0);
}

}  // namespace
}  // namespace baozi::model
