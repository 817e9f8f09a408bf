// A fleet of replicas behind a balancer, as a fluid in steps of a virtual clock: each replica has
// servers, a service time and a bounded first-in-first-out queue, and is cold before it is hot.
//
//   scheduled, no port -> loading (holds requests) -> lukewarm (answers slower) -> ready
//
// Within a step requests are a quantity, not single ones; randomness is in how many come.
//
//   FleetModel fleet({}, Balancing::kSteered, 200);
//   fleet.advance(now, 0.1, 2600, latencies);
//   fleet.scale_to(now, 400);
//
// Thread safety: none; time is given in.
#pragma once

#include <cstdint>
#include <vector>

#include "tools/simulate/latencies.h"

namespace baozi::simulate {

struct ReplicaOptions {
  double servers = 4;  // requests that run at once, a core each
  double service_seconds = 0.02;
  double queue_max = 1000;   // waiting requests, then it refuses; also of those that are held
  double port_seconds = 20;  // scheduling, the image, exec; then its port is open
  double load_seconds = 8;   // nothing is answered, requests are held
  double warm_seconds = 6;   // requests take `lukewarm_factor` times as long
  double lukewarm_factor = 4;
  double warm_cpu = 0.5;  // share of its cores that loading and warm-up use
};

enum class Balancing : std::uint8_t {
  kBlind,   // a whole share from the moment that its port is open
  kReady,   // nothing until it is ready, then a whole share
  kSteered  // a share by fleet::steer() of its record of warmth, few at once while lukewarm
};

// What a metrics pipeline sees of the fleet at one moment.
struct FleetSample {
  int replicas = 0;      // asked for: starting and running, without those that leave
  int ready = 0;         // to Kubernetes; blind: from the open port on
  int cpu_pods = 0;      // ready for the whole time since the last sample
  double cpu_sum = 0;    // of their utilisation since then, in percent of their cores
  int queue_pods = 0;    // whose port is open
  double queue_sum = 0;  // requests that wait there, held ones among them
};

class FleetModel {
 public:
  FleetModel(const ReplicaOptions& options, Balancing balancing, int ready);

  // Adds replicas, which come up from `now`; or takes away the youngest, which end what they have.
  void scale_to(double now, int replicas);

  // `arrivals` requests come in [now, now + step).
  void advance(double now, double step, double arrivals, Latencies& latencies);

  // CPU is since the last call of `sample`.
  FleetSample sample(double now);

  int size() const { return static_cast<int>(replicas_.size()); }
  int leaving() const { return static_cast<int>(leaving_.size()); }
  int hot(double now) const;  // fully warm
  double waiting() const;     // requests, also in replicas that leave
  double answered() const { return answered_; }
  double refused() const { return refused_; }

  // How old the balancer's view of replicas may be: agent-inter of docs/fleet.md's configuration.
  static constexpr double kViewSeconds = 1;

 private:
  struct Replica {
    double port_at = 0;
    double loaded_at = 0;
    double ready_at = 0;
    double waiting = 0;
    double arrivals = 0;     // of this step
    double cpu_seconds = 0;  // since the last sample
    double weight = 0;       // what the balancer believes
    bool few = false;        // and that it takes few at once
  };

  void view(double now);
  double share_out(double now, double step, double arrivals);  // returns what nobody takes
  void serve(Replica& replica, double now, double step, Latencies& latencies);
  double rate(const Replica& replica, double now) const;  // requests a second, when busy
  double latency(const Replica& replica, double now, double ahead) const;
  double ready_to_kubernetes(const Replica& replica) const;

  const ReplicaOptions options_;
  const Balancing balancing_;
  std::vector<Replica> replicas_;  // oldest first
  std::vector<Replica> leaving_;
  double viewed_at_ = -kViewSeconds;
  double sampled_at_ = 0;
  double answered_ = 0;
  double refused_ = 0;
};

}  // namespace baozi::simulate
