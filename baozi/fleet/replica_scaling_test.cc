// The autoscaler's arithmetic: each rule of Kubernetes' documentation by an example.
#include "baozi/fleet/replica_scaling.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>

namespace baozi::fleet {
namespace {

using namespace std::chrono_literals;

ScalingMetric cpu(double average, int pods, int unready = 0, int missing = 0) {
  return {
      .target = 70, .sum = average * pods, .pods = pods, .unready = unready, .missing = missing};
}

TEST(ReplicasFor, IsTheRatioOfWhatIsAndWhatIsWanted) {
  // The documentation's own example: 200m wanted 100m doubles, 50m halves.
  EXPECT_EQ(replicas_for({.target = 100, .sum = 400, .pods = 2}, 2, 0.1), 4);
  EXPECT_EQ(replicas_for({.target = 100, .sum = 200, .pods = 4}, 4, 0.1), 2);
  EXPECT_EQ(replicas_for(cpu(95, 8), 8, 0.1), 11);  // 10.86 is rounded up
}

TEST(ReplicasFor, ATenthIsTolerated) {
  EXPECT_EQ(replicas_for(cpu(76.9, 10), 10, 0.1), 10);
  EXPECT_EQ(replicas_for(cpu(77.1, 10), 10, 0.1), 12);
  EXPECT_EQ(replicas_for(cpu(63.1, 10), 10, 0.1), 10);
  EXPECT_EQ(replicas_for(cpu(62.9, 10), 10, 0.1), 9);
}

TEST(ReplicasFor, PodsThatAreNotReadyCountAsIdleWhenTheFleetGrows) {
  // 10 saturated pods ask for 15; 5 that come are already what was asked for.
  EXPECT_EQ(replicas_for(cpu(100, 10), 10, 0.1), 15);
  EXPECT_EQ(replicas_for(cpu(100, 10, 5), 15, 0.1), 15);
  EXPECT_EQ(replicas_for(cpu(100, 10, 2), 12, 0.1), 15);
  // Where their being idle would turn growth into shrinking, nothing changes.
  EXPECT_EQ(replicas_for(cpu(100, 10, 10), 20, 0.1), 20);
}

TEST(ReplicasFor, PodsThatAreNotReadyAreLeftOutWhenTheFleetShrinks) {
  EXPECT_EQ(replicas_for(cpu(35, 10, 2), 12, 0.1), 5);
}

TEST(ReplicasFor, PodsThatDoNotReportDampBothWays) {
  EXPECT_EQ(replicas_for(cpu(35, 10, 0, 10), 20, 0.1), 15);  // they are taken for 70 %
  EXPECT_EQ(replicas_for(cpu(140, 10, 0, 5), 15, 0.1), 20);  // for 0 %
  EXPECT_EQ(replicas_for(cpu(100, 10, 0, 10), 20, 0.1), 20);
}

TEST(ReplicasFor, NobodyReportsOrNonsenseChangesNothing) {
  EXPECT_EQ(replicas_for(cpu(0, 0), 7, 0.1), 7);
  EXPECT_EQ(replicas_for(cpu(std::numeric_limits<double>::quiet_NaN(), 3), 7, 0.1), 7);
  EXPECT_GT(replicas_for(cpu(1e300, 3), 7, 0.1), 7);  // no overflow
}

TEST(ReplicaScaling, TheMetricThatAsksForMostWins) {
  ReplicaScaling scaling({.replicas_max = 100});
  const ScalingMetric idle{.target = 100, .sum = 0, .pods = 10};
  EXPECT_EQ(scaling.decide(0s, 10, {{cpu(95, 10), idle}}), 14);
}

TEST(ReplicaScaling, GrowsByAtMostItsDoubleOrFourPodsIn15Seconds) {
  ReplicaScaling scaling({.replicas_max = 1000});
  EXPECT_EQ(scaling.decide(0s, 2, {{cpu(7000, 2)}}), 6);    // four pods
  EXPECT_EQ(scaling.decide(5s, 6, {{cpu(7000, 6)}}), 6);    // of the same 15 seconds
  EXPECT_EQ(scaling.decide(15s, 6, {{cpu(7000, 6)}}), 12);  // the double
  EXPECT_EQ(scaling.decide(30s, 12, {{cpu(7000, 12)}}), 24);
}

TEST(ReplicaScaling, ShrinksToTheLargestRecommendationOfFiveMinutes) {
  ReplicaScaling scaling({.replicas_max = 100});
  EXPECT_EQ(scaling.decide(0s, 40, {{cpu(70, 40)}}), 40);
  EXPECT_EQ(scaling.decide(15s, 40, {{cpu(7, 40)}}), 40);
  EXPECT_EQ(scaling.decide(150s, 40, {{cpu(35, 40)}}), 40);
  EXPECT_EQ(scaling.decide(299s, 40, {{cpu(7, 40)}}), 40);
  EXPECT_EQ(scaling.decide(300s, 40, {{cpu(7, 40)}}), 20);  // what 150 s asked for
  EXPECT_EQ(scaling.decide(450s, 20, {{cpu(14, 20)}}), 4);
}

TEST(ReplicaScaling, WhatWasThereAtTheStartHoldsForTheFirstWindow) {
  ReplicaScaling scaling({.replicas_max = 100});
  EXPECT_EQ(scaling.decide(0s, 40, {{cpu(7, 40)}}), 40);
  EXPECT_EQ(scaling.decide(299s, 40, {{cpu(7, 40)}}), 40);
  EXPECT_EQ(scaling.decide(301s, 40, {{cpu(7, 40)}}), 4);
}

TEST(ReplicaScaling, StaysWithinItsLimits) {
  ReplicaScaling scaling({.replicas_min = 3, .replicas_max = 12});
  EXPECT_EQ(scaling.decide(0s, 10, {{cpu(700, 10)}}), 12);
  EXPECT_EQ(scaling.decide(400s, 12, {{cpu(0, 12)}}), 3);
  EXPECT_EQ(scaling.decide(415s, 3, {}), 3);
}

}  // namespace
}  // namespace baozi::fleet
