#include "baozi/pipeline/elasticity.h"

#include <gtest/gtest.h>

#include <random>

#include "baozi/pipeline/elasticity_simulation.h"

namespace baozi::pipeline {
namespace {

using namespace std::chrono_literals;

const Time kStart{1h};

// What a model with all instances busy and `queued` that wait says.
Load pressed(int instances, std::uint64_t runs, double queued = 3) {
  return {.instances = instances,
          .queued = queued,
          .busy = static_cast<double>(instances),
          .busy_peak = instances,
          .rows = runs,
          .runs = runs};
}

TEST(LoadMeter, WeighsByTimeAndKeepsThePeak) {
  LoadMeter meter;
  meter.set(kStart, 0, 0);
  meter.set(kStart + 1s, 4, 2);
  meter.set(kStart + 2s, 0, 1);
  const Load load = meter.take(kStart + 4s);
  EXPECT_DOUBLE_EQ(load.queued, 1);
  EXPECT_DOUBLE_EQ(load.busy, 1);
  EXPECT_EQ(load.busy_peak, 2);
  EXPECT_EQ(meter.take(kStart + 5s).busy_peak, 1);
}

TEST(LoadMeter, StandsStillWhileTheClockRunsBackwards) {
  LoadMeter meter;
  meter.set(kStart, 4, 1);
  meter.set(kStart - 1h, 4, 1);
  const Load load = meter.take(kStart - 1h + 1s);
  EXPECT_DOUBLE_EQ(load.queued, 4);
  EXPECT_DOUBLE_EQ(load.busy, 1);
}

TEST(Elasticity, GrowsAfterATimeInWhichSomebodyAlwaysWaited) {
  Elasticity core({.min = 1, .max = 4, .grow_after = 200ms});
  for (const auto at : {0ms, 50ms, 100ms, 150ms})
    EXPECT_EQ(core.decide(pressed(1, 0), {}, kStart + at).step, Elasticity::Step::kStay);
  EXPECT_EQ(core.decide(pressed(1, 0), {}, kStart + 200ms).step, Elasticity::Step::kGrow);
  EXPECT_EQ(core.decide(pressed(1, 0), {}, kStart + 250ms).step, Elasticity::Step::kStay)
      << "one is in the making";
}

TEST(Elasticity, AMomentWithoutPressureBeginsAnew) {
  Elasticity core({.min = 1, .max = 4, .grow_after = 200ms});
  core.decide(pressed(1, 0), {}, kStart);
  core.decide(pressed(1, 0, 0.1), {}, kStart + 150ms);
  core.decide(pressed(1, 0), {}, kStart + 200ms);
  EXPECT_EQ(core.decide(pressed(1, 0), {}, kStart + 350ms).step, Elasticity::Step::kStay);
  EXPECT_EQ(core.decide(pressed(1, 0), {}, kStart + 400ms).step, Elasticity::Step::kGrow);
}

TEST(Elasticity, AQueueBeforeIdleInstancesIsNoReason) {
  Elasticity core({.min = 2, .max = 4, .grow_after = 200ms});
  Load load = pressed(2, 0);
  load.busy = 1.2;  // it waits for companions, or for a moment
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(core.decide(load, {}, kStart + i * 50ms).step, Elasticity::Step::kStay);
}

TEST(Elasticity, AnIdleModelAtItsLeastNeedsNoLook) {
  Elasticity core({.min = 1, .max = 4});
  EXPECT_EQ(core.decide({.instances = 1}, {}, kStart).look_at, kNever);
  EXPECT_EQ(core.decide({.instances = 1}, {}, kStart + 24h).look_at, kNever);
}

TEST(Elasticity, NeverGrowsPastTheMemory) {
  Elasticity core({.min = 1, .max = 4, .grow_after = 200ms});
  for (int i = 0; i < 20; ++i) {
    const auto decision =
        core.decide(pressed(1, 0), {.free = 99, .instance = 100}, kStart + i * 50ms);
    EXPECT_EQ(decision.step, Elasticity::Step::kStay);
    EXPECT_EQ(decision.short_of_memory, i >= 4);
  }
  EXPECT_EQ(core.decide(pressed(1, 0), {.free = 100, .instance = 100}, kStart + 1s).step,
            Elasticity::Step::kGrow);
}

TEST(Elasticity, TriesLaterAndLaterWhatFails) {
  Elasticity core({.min = 1, .max = 4, .grow_after = 200ms});
  std::vector<Time> tries;
  for (Time now = kStart; now < kStart + 90s; now += 50ms) {
    if (core.decide(pressed(1, 0), {}, now).step != Elasticity::Step::kGrow) continue;
    core.failed(now);
    tries.push_back(now);
  }
  ASSERT_EQ(tries.size(), 5u) << "after 5, 10, 20 and 40 seconds";
  for (std::size_t i = 2; i < tries.size(); ++i)
    EXPECT_GT(tries[i] - tries[i - 1], 1.9 * (tries[i - 1] - tries[i - 2]));
}

TEST(ElasticityScene, AStepOfLoadIsMetAndLeftBehind) {
  ElasticitySimulation simulation({.options = {.min = 1, .max = 4, .shrink_after = 30s}});
  simulation.run(10s, 1);
  EXPECT_EQ(simulation.instances(), 1) << "one caller never waits";
  simulation.run(2s, 8);
  EXPECT_EQ(simulation.instances(), 4);
  const std::uint64_t before = simulation.served();
  simulation.run(10s, 8);
  EXPECT_NEAR(static_cast<double>(simulation.served() - before), 800, 40);
  simulation.run(29s, 0);
  EXPECT_EQ(simulation.instances(), 4);
  simulation.run(20s, 0);
  EXPECT_EQ(simulation.instances(), 1);
  const int looks = simulation.looks();
  simulation.run(10min, 0);
  EXPECT_EQ(simulation.looks(), looks) << "an idle model sleeps";
  EXPECT_EQ(simulation.broken(), "");
}

TEST(ElasticityScene, AnIdleServerAboveItsLeastLooksFourTimesInShrinkAfter) {
  ElasticitySimulation simulation({.options = {.min = 1, .max = 2, .shrink_after = 60s}});
  simulation.run(5s, 4);
  simulation.run(1s, 0);
  const int looks = simulation.looks();
  simulation.run(59s, 0);
  EXPECT_LE(simulation.looks() - looks, 4);
}

TEST(ElasticityScene, LoadThatFlapsDoesNotMakeItFlap) {
  for (const auto& [on, off] : {std::pair{100ms, 100ms}, std::pair{1000ms, 1000ms},
                               std::pair{5000ms, 5000ms}, std::pair{2000ms, 20'000ms}}) {
    ElasticitySimulation simulation({.options = {.min = 1, .max = 4, .shrink_after = 30s}});
    for (int i = 0; i < 50; ++i) {
      simulation.run(on, 8);
      simulation.run(off, 0);
    }
    EXPECT_LE(simulation.grown(), 3) << on.count();
    EXPECT_EQ(simulation.shrunk(), 0) << on.count();
    EXPECT_EQ(simulation.broken(), "");
  }
}

TEST(ElasticityScene, KeepsOnlyWhatIsNeeded) {
  ElasticitySimulation simulation({.options = {.min = 1, .max = 8, .shrink_after = 5s}});
  simulation.run(10s, 16);
  EXPECT_EQ(simulation.instances(), 8);
  simulation.run(10s, 3);
  EXPECT_EQ(simulation.instances(), 3);
  EXPECT_EQ(simulation.broken(), "");
}

TEST(ElasticityScene, StopsWhereTheCoresAreUsedUp) {
  ElasticitySimulation simulation({.options = {.min = 1, .max = 16}, .cores = 2});
  simulation.run(50s, 32);
  EXPECT_GE(simulation.instances(), 2);
  EXPECT_LE(simulation.instances(), 3) << "the third brought nothing";
  simulation.run(10min, 32);
  EXPECT_LE(simulation.instances(), 7) << "tried again after 1, 2, 4 and 8 minutes";
}

TEST(ElasticityScene, WhatTheLastOneBroughtIsNotAskedOfTheFirst) {
  ElasticitySimulation simulation({.options = {.min = 1, .max = 4, .shrink_after = 1s}});
  for (int i = 0; i < 10; ++i) {
    simulation.run(2s, 8);
    EXPECT_EQ(simulation.instances(), 4);
    simulation.run(3s, 0);
    EXPECT_EQ(simulation.instances(), 1);
  }
}

TEST(ElasticityScene, ModelsThatTakeSecondsGrowToo) {
  ElasticitySimulation simulation({.options = {.min = 1, .max = 4}, .service = 3s});
  simulation.run(3s, 8);
  EXPECT_EQ(simulation.instances(), 4);
}

TEST(ElasticityScene, MemoryThatComesFreeIsUsed) {
  ElasticitySimulation simulation(
      {.options = {.min = 1, .max = 4}, .memory_free = 150, .instance_bytes = 100});
  simulation.run(5s, 8);
  EXPECT_EQ(simulation.instances(), 2);
  EXPECT_TRUE(simulation.was_short_of_memory());
  simulation.free_memory(100);
  simulation.run(5s, 8);
  EXPECT_EQ(simulation.instances(), 3);
  EXPECT_EQ(simulation.broken(), "");
}

TEST(ElasticityScene, AClockThatIsSetBackDoesNotHoldItUp) {
  ElasticitySimulation simulation({.options = {.min = 1, .max = 4, .shrink_after = 10s}});
  simulation.run(2s, 8);
  EXPECT_EQ(simulation.instances(), 4);
  simulation.jump(-30min);
  simulation.run(1s, 0);
  simulation.jump(-1min);
  simulation.run(1h, 0);
  EXPECT_EQ(simulation.instances(), 1);
  EXPECT_EQ(simulation.broken(), "");
}

// Random loads, failures, jumps and memory.
TEST(ElasticityScene, BoundsAndMemoryAreKeptWhateverComes) {
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto up_to = [&random](int most) { return static_cast<int>(random() % (most + 1U)); };
    ElasticityScene scene;
    scene.options.min = 1 + up_to(2);
    scene.options.max = scene.options.min + up_to(5);
    scene.options.shrink_after = (10 + up_to(3000)) * 1ms;
    scene.service = (1 + up_to(300)) * 1ms;
    scene.cores = 1 + up_to(8);
    scene.instance_bytes = 100;
    scene.memory_free = static_cast<std::size_t>(up_to(600));
    scene.fails = [&](int) { return up_to(3) == 0; };
    ElasticitySimulation simulation(scene);
    for (int i = 0; i < 30; ++i) {
      simulation.run(up_to(2000) * 1ms, up_to(20));
      if (up_to(9) == 0) simulation.jump((up_to(2000) - 1000) * 1ms);
    }
    ASSERT_EQ(simulation.broken(), "");
  }
}

}  // namespace
}  // namespace baozi::pipeline
