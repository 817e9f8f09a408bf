#include "tools/simulate/fleet_model.h"

#include <algorithm>
#include <cassert>

#include "baozi/fleet/steering.h"
#include "baozi/fleet/warmth.h"

namespace baozi::simulate {

FleetModel::FleetModel(const ReplicaOptions& options, Balancing balancing, int ready)
    : options_(options), balancing_(balancing) {
  // There from long ago, so that the first sample counts them.
  for (int i = 0; i < ready; ++i)
    replicas_.push_back({.port_at = -1e6, .loaded_at = -1e6, .ready_at = -1e6});
}

void FleetModel::scale_to(double now, int replicas) {
  assert(replicas >= 1);
  while (size() < replicas) {
    Replica replica;
    replica.port_at = now + options_.port_seconds;
    replica.loaded_at = replica.port_at + options_.load_seconds;
    replica.ready_at = replica.loaded_at + options_.warm_seconds;
    replicas_.push_back(replica);
  }
  while (size() > replicas) {
    if (replicas_.back().waiting > 0) leaving_.push_back(replicas_.back());
    replicas_.pop_back();
  }
}

void FleetModel::view(double now) {
  viewed_at_ = now;
  for (Replica& replica : replicas_) {
    replica.few = false;
    replica.weight = 0;
    if (now < replica.port_at) continue;
    if (balancing_ != Balancing::kSteered) {
      replica.weight = balancing_ == Balancing::kBlind || now >= replica.ready_at ? 100 : 0;
      continue;
    }
    fleet::Warmth warmth{.state = fleet::ReplicaState::kReady, .warmth = 1, .seconds_left = 0};
    if (now < replica.ready_at) {
      warmth.state = fleet::ReplicaState::kStarting;
      warmth.seconds_left = replica.ready_at - now;
      warmth.warmth = (now - replica.port_at) / (replica.ready_at - replica.port_at);
    }
    const fleet::Steering steering = fleet::steer(warmth);
    replica.weight = steering.percent;
    replica.few = steering.lukewarm;
  }
}

double FleetModel::share_out(double now, double step, double arrivals) {
  double weights = 0;
  double free_weights = 0;  // of those that take any number
  for (const Replica& replica : replicas_) {
    weights += replica.weight;
    if (!replica.few) free_weights += replica.weight;
  }
  double left = arrivals;
  if (weights <= 0) return left;
  for (Replica& replica : replicas_) {
    replica.arrivals = 0;
    if (!replica.few) continue;
    // `kLukewarmConnections` in flight: that many, and as many as are answered within the step.
    double room = std::max(0.0, fleet::kLukewarmConnections - replica.waiting);
    room +=
        rate(replica, now) * step * std::min(1.0, fleet::kLukewarmConnections / options_.servers);
    replica.arrivals = std::min(arrivals * replica.weight / weights, room);
    left -= replica.arrivals;
  }
  if (free_weights <= 0) return left;
  for (Replica& replica : replicas_)
    if (!replica.few) replica.arrivals = left * replica.weight / free_weights;
  return 0;
}

double FleetModel::rate(const Replica& replica, double now) const {
  if (now < replica.loaded_at) return 0;
  const double hot = options_.servers / options_.service_seconds;
  return now < replica.ready_at ? hot / options_.lukewarm_factor : hot;
}

// Of a request with `ahead` before it, which wait or are about to run.
double FleetModel::latency(const Replica& replica, double now, double ahead) const {
  const double hot = options_.servers / options_.service_seconds;
  if (now >= replica.ready_at) return ahead / hot + options_.service_seconds;
  const double held = std::max(0.0, replica.loaded_at - now);
  const double lukewarm = replica.ready_at - std::max(now, replica.loaded_at);
  const double slow = hot / options_.lukewarm_factor;
  if (ahead <= lukewarm * slow)
    return held + ahead / slow + options_.service_seconds * options_.lukewarm_factor;
  return held + lukewarm + (ahead - lukewarm * slow) / hot + options_.service_seconds;
}

void FleetModel::serve(Replica& replica, double now, double step, Latencies& latencies) {
  const double served_most = rate(replica, now) * step;
  const double room = std::max(0.0, options_.queue_max + served_most - replica.waiting);
  const double taken = std::min(replica.arrivals, room);
  const double refused = replica.arrivals - taken;
  if (taken > 0) {
    // The one in the middle of what comes: half of the others are before it, half a step's work
    // is done by then.
    const double before = std::max(0.0, taken - 1) / 2;
    const double ahead = std::max(0.0, replica.waiting + before - served_most / 2);
    latencies.add(taken, latency(replica, now, ahead));
  }
  if (refused > 0) latencies.refuse(refused);
  refused_ += refused;
  const double present = replica.waiting + taken;
  const double served = std::min(present, served_most);
  replica.waiting = present - served;
  answered_ += served;
  double busy = served_most > 0 ? served / served_most : 0;
  if (now >= replica.port_at && now < replica.ready_at)
    busy = std::min(1.0, busy + options_.warm_cpu);
  replica.cpu_seconds += busy * step;
}

void FleetModel::advance(double now, double step, double arrivals, Latencies& latencies) {
  // Half a step of slack: the clock is a sum of steps.
  if (now - viewed_at_ >= kViewSeconds - step / 2) view(now);
  for (Replica& replica : replicas_) replica.arrivals = 0;
  const double nobodys = share_out(now, step, arrivals);
  if (nobodys > 0) {
    latencies.refuse(nobodys);
    refused_ += nobodys;
  }
  for (Replica& replica : replicas_) serve(replica, now, step, latencies);
  for (Replica& replica : leaving_) {
    replica.arrivals = 0;
    serve(replica, now, step, latencies);
  }
  std::erase_if(leaving_, [](const Replica& replica) { return replica.waiting <= 0; });
}

double FleetModel::ready_to_kubernetes(const Replica& replica) const {
  return balancing_ == Balancing::kBlind ? replica.port_at : replica.ready_at;
}

FleetSample FleetModel::sample(double now) {
  FleetSample sample{.replicas = size()};
  const double seconds = now - sampled_at_;
  for (Replica& replica : replicas_) {
    sample.ready += ready_to_kubernetes(replica) <= now;
    if (ready_to_kubernetes(replica) <= sampled_at_ && seconds > 0) {
      ++sample.cpu_pods;
      sample.cpu_sum += 100 * replica.cpu_seconds / seconds;
    }
    if (replica.port_at <= now) {
      ++sample.queue_pods;
      sample.queue_sum += replica.waiting;
    }
    replica.cpu_seconds = 0;
  }
  sampled_at_ = now;
  return sample;
}

int FleetModel::hot(double now) const {
  return static_cast<int>(
      std::count_if(replicas_.begin(), replicas_.end(),
                    [now](const Replica& replica) { return replica.ready_at <= now; }));
}

double FleetModel::waiting() const {
  double sum = 0;
  for (const Replica& replica : replicas_) sum += replica.waiting;
  for (const Replica& replica : leaving_) sum += replica.waiting;
  return sum;
}

}  // namespace baozi::simulate
