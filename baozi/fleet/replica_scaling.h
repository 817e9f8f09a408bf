// Replica scaling: how many replicas Kubernetes' HorizontalPodAutoscaler asks for, as a pure core,
// so that a fleet can be simulated under it. Source: Kubernetes' documentation, "Horizontal Pod
// Autoscaling", algorithm details and configurable scaling behaviour, with their defaults.
//
//   ReplicaScaling scaling({.replicas_max = 50});
//   // 8 ready pods that use 95 % of their CPU on average, 70 % wanted: ceil(8 · 95 / 70) = 11.
//   const ScalingMetric cpu{.target = 70, .sum = 8 * 95, .pods = 8};
//   const int wanted = scaling.decide(now, 8, {{cpu}});
//
// Thread safety: none; time is given in.
#pragma once

#include <chrono>
#include <deque>
#include <span>

namespace baozi::fleet {

using ScalingTime = std::chrono::milliseconds;  // since a start that the caller chooses

// One metric, summed over the pods that report it.
struct ScalingMetric {
  double target = 0;  // wanted on average, above 0
  double sum = 0;     // over `pods`
  int pods = 0;       // that are ready and report
  int unready = 0;    // that report but do not count yet: taken for 0 when the fleet grows
  int missing = 0;    // that do not report: taken for 0 when it grows, for the target when it
                      // shrinks
};

struct ScalingOptions {
  int replicas_min = 1;
  int replicas_max = 10;
  double tolerance = 0.1;
  // What may be added within `up_period`: the larger of the two.
  int up_pods = 4;
  double up_share = 1.0;
  ScalingTime up_period{15'000};
  // The largest recommendation of that long is what the fleet shrinks to.
  ScalingTime down_window{300'000};
};

// What one metric asks for, without limits. Asks for `current` when nobody reports.
int replicas_for(const ScalingMetric& metric, int current, double tolerance);

class ReplicaScaling {
 public:
  explicit ReplicaScaling(ScalingOptions options);

  // The number of replicas from now on; `now` never goes back. The metric that asks for most wins.
  int decide(ScalingTime now, int current, std::span<const ScalingMetric> metrics);

 private:
  struct At {
    ScalingTime time{};
    int replicas = 0;
  };
  int stabilised(ScalingTime now, int current, int asked);
  int limited(ScalingTime now, int current, int asked);

  const ScalingOptions options_;
  std::deque<At> recommended_;  // falling; at most one a call within `down_window`
  std::deque<At> added_;        // within `up_period`
};

}  // namespace baozi::fleet
