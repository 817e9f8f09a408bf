// One run: traffic, a fleet, a balancer and Kubernetes' autoscaler under a virtual clock.
//
//   const Result result = simulate({.balancing = Balancing::kSteered}, step_traffic(26'000));
//
// The same options, seed and traffic give the same result, to the last bit, on one machine; another
// standard library may draw other numbers.
//
// Thread safety: free functions, pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "baozi/fleet/replica_scaling.h"
#include "tools/simulate/fleet_model.h"
#include "tools/simulate/traffic.h"

namespace baozi::simulate {

struct SimulationOptions {
  ReplicaOptions replica = {};
  Balancing balancing = Balancing::kBlind;
  double cpu_target = 70;   // percent
  double queue_target = 0;  // requests a replica; 0: the autoscaler does not look at queues
  int replicas_start = 0;   // ready at the start; 0: as many as the CPU target asks for
  fleet::ScalingOptions scaling{.replicas_max = 4000};
  double step_seconds = 0.1;
  double target_seconds = 0.2;
  std::uint64_t seed = 1;
};

struct Window {
  double seconds = 0;      // its start
  double offered = 0;      // requests a second
  int replicas = 0;        // at its end: all that are paid for
  int hot = 0;             // at its end: of them fully warm
  double p99_seconds = 0;  // of those answered; 0: nobody was
  double late_share = 0;   // of those offered: above the target, or refused
};

struct Result {
  double requests = 0;
  double answered = 0;
  double refused = 0;
  double waiting = 0;     // at the end
  double late_share = 0;  // of those offered: above the target, or refused
  double refused_share = 0;
  double p99_seconds = 0;
  double seconds_above = 0;  // in windows of which more than 1 % is above the target
  double replica_hours = 0;  // from being asked for until gone
  int replicas_most = 0;
  std::vector<Window> windows;
};

inline constexpr double kWindowSeconds = 10;
inline constexpr double kLateShareMax = 0.01;
// The autoscaler acts this often, on samples taken as often, which are this old at least.
inline constexpr double kSyncSeconds = 15;
inline constexpr double kMetricDelaySeconds = 15;

// Throws Error kInvalidArgument when an option makes no sense.
Result simulate(const SimulationOptions& options, const Traffic& traffic);

}  // namespace baozi::simulate
