#include "tools/simulate/simulation.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

#include "baozi/base/error.h"

namespace baozi::simulate {
namespace {

struct TimedSample {
  double seconds = 0;
  FleetSample sample;
};

// What the autoscaler is told at `current` replicas from an older sample: who came since is not
// ready, who went since is left out.
fleet::ScalingMetric metric(double target, double sum, int pods, int current) {
  const int kept = std::min(pods, current);
  if (pods > 0) sum *= static_cast<double>(kept) / pods;
  return {.target = target, .sum = sum, .pods = kept, .unready = current - kept};
}

class Autoscaler {
 public:
  explicit Autoscaler(const SimulationOptions& options)
      : options_(options), scaling_(options.scaling) {}

  void act(double now, FleetModel& fleet) {
    if (now >= sample_at_) {
      samples_.push_back({now, fleet.sample(now)});
      sample_at_ += kSyncSeconds;
    }
    if (now < sync_at_) return;
    sync_at_ += kSyncSeconds;
    while (samples_.size() > 1 && now - samples_[1].seconds >= kMetricDelaySeconds)
      samples_.pop_front();
    if (samples_.empty() || now - samples_.front().seconds < kMetricDelaySeconds) return;
    const FleetSample& seen = samples_.front().sample;
    std::vector<fleet::ScalingMetric> metrics{
        metric(options_.cpu_target, seen.cpu_sum, seen.cpu_pods, fleet.size())};
    if (options_.queue_target > 0)
      metrics.push_back(
          metric(options_.queue_target, seen.queue_sum, seen.queue_pods, fleet.size()));
    const auto when = std::chrono::milliseconds(static_cast<std::int64_t>(now * 1000));
    fleet.scale_to(now, scaling_.decide(when, fleet.size(), metrics));
  }

 private:
  const SimulationOptions& options_;
  fleet::ReplicaScaling scaling_;
  std::deque<TimedSample> samples_;
  double sample_at_ = kSyncSeconds;
  // Between two samples, so that what it acts on is between 15 and 30 seconds old.
  double sync_at_ = kSyncSeconds * 1.5;
};

void check(bool right, const char* what) {
  if (!right) throw Error(Code::kInvalidArgument, what);
}

void check_options(const SimulationOptions& options) {
  const ReplicaOptions& replica = options.replica;
  check(replica.servers >= 1 && replica.servers <= 4096, "servers must be from 1 to 4096");
  check(replica.service_seconds >= 1e-5 && replica.service_seconds <= 3600,
        "the service time must be from 0.01 ms to an hour");
  check(replica.queue_max >= 0 && replica.queue_max <= 1e9, "the queue must be from 0 to 10^9");
  for (const double seconds : {replica.port_seconds, replica.load_seconds, replica.warm_seconds})
    check(seconds >= 0 && seconds <= 86'400, "a start takes from 0 to 86400 seconds");
  check(replica.lukewarm_factor >= 1 && replica.lukewarm_factor <= 1000,
        "the lukewarm factor must be from 1 to 1000");
  check(replica.warm_cpu >= 0 && replica.warm_cpu <= 1, "the warm-up's CPU must be from 0 to 1");
  check(options.step_seconds >= 1e-4 && options.step_seconds <= 1,
        "a step must be from 0.1 ms to a second");
  check(options.cpu_target > 0 && options.cpu_target <= 100, "CPU target: above 0, up to 100");
  check(options.queue_target >= 0, "the queue's target must not be negative");
  check(options.target_seconds > 0, "the latency target must be above 0");
  check(options.scaling.replicas_min >= 1 && options.scaling.replicas_max <= 1'000'000 &&
            options.scaling.replicas_min <= options.scaling.replicas_max,
        "replicas: 1 <= min <= max <= 1000000");
}

int start_replicas(const SimulationOptions& options, const Traffic& traffic) {
  const double one = options.replica.servers / options.replica.service_seconds;
  const int asked =
      options.replicas_start > 0
          ? options.replicas_start
          : static_cast<int>(std::ceil(traffic.at(0) * 100 / (one * options.cpu_target)));
  return std::clamp(asked, options.scaling.replicas_min, options.scaling.replicas_max);
}

class Run {
 public:
  Run(const SimulationOptions& options, const Traffic& traffic)
      : options_(options),
        traffic_(traffic),
        fleet_(options.replica, options.balancing, start_replicas(options, traffic)),
        autoscaler_(options),
        window_(options.target_seconds),
        all_(options.target_seconds),
        random_(options.seed) {}

  Result result() {
    const auto steps = static_cast<std::int64_t>(traffic_.seconds() / options_.step_seconds);
    const auto window_steps =
        std::max<std::int64_t>(1, std::llround(kWindowSeconds / options_.step_seconds));
    for (std::int64_t step = 0; step < steps; ++step) {
      const double now = static_cast<double>(step) * options_.step_seconds;
      autoscaler_.act(now, fleet_);
      fleet_.advance(now, options_.step_seconds, arrivals(now), window_);
      const int paid = fleet_.size() + fleet_.leaving();
      result_.replica_hours += paid * options_.step_seconds / 3600;
      result_.replicas_most = std::max(result_.replicas_most, paid);
      if ((step + 1) % window_steps == 0 || step + 1 == steps)
        end_window(now, (step % window_steps + 1) * options_.step_seconds);
    }
    finish();
    return result_;
  }

 private:
  double arrivals(double now) {
    const double mean = traffic_.at(now + options_.step_seconds / 2) * options_.step_seconds;
    if (mean <= 0) return 0;
    const double drawn =
        static_cast<double>(std::poisson_distribution<std::int64_t>(mean)(random_));
    result_.requests += drawn;
    return drawn;
  }

  void end_window(double now, double seconds) {
    const double offered = window_.answered() + window_.refused();
    const double late = window_.late() + window_.refused();
    Window window{.seconds = now + options_.step_seconds - seconds,
                  .offered = offered / seconds,
                  .replicas = fleet_.size() + fleet_.leaving(),
                  .hot = fleet_.hot(now),
                  .p99_seconds = window_.quantile(0.99),
                  .late_share = offered > 0 ? late / offered : 0};
    if (window.late_share > kLateShareMax) result_.seconds_above += seconds;
    result_.windows.push_back(window);
    all_.merge(window_);
    window_.clear();
  }

  void finish() {
    result_.answered = fleet_.answered();
    result_.refused = fleet_.refused();
    result_.waiting = fleet_.waiting();
    result_.p99_seconds = all_.quantile(0.99);
    if (result_.requests <= 0) return;
    result_.late_share = (all_.late() + all_.refused()) / result_.requests;
    result_.refused_share = all_.refused() / result_.requests;
  }

  const SimulationOptions& options_;
  const Traffic& traffic_;
  FleetModel fleet_;
  Autoscaler autoscaler_;
  Latencies window_;
  Latencies all_;
  std::mt19937_64 random_;
  Result result_;
};

}  // namespace

Result simulate(const SimulationOptions& options, const Traffic& traffic) {
  check_options(options);
  return Run(options, traffic).result();
}

}  // namespace baozi::simulate
