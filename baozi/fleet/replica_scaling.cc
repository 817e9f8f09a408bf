#include "baozi/fleet/replica_scaling.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace baozi::fleet {
namespace {

bool within(double ratio, double tolerance) { return std::abs(ratio - 1) <= tolerance; }

// Sums of floating point are a hair off; a hair is no replica.
int ceil_replicas(double replicas) {
  constexpr double kMost = std::numeric_limits<int>::max() / 4.0;
  return static_cast<int>(std::ceil(std::clamp(replicas, 0.0, kMost) - 1e-9));
}

}  // namespace

int replicas_for(const ScalingMetric& metric, int current, double tolerance) {
  assert(metric.target > 0);
  if (metric.pods <= 0 || !std::isfinite(metric.sum)) return current;
  const double ratio = metric.sum / (metric.pods * metric.target);
  const bool unready_matter = metric.unready > 0 && ratio > 1;
  if (!unready_matter && metric.missing == 0) {
    if (within(ratio, tolerance)) return current;
    return ceil_replicas(ratio * metric.pods);
  }
  // Again with what is not known taken so that it damps: nothing when growing, the target when
  // shrinking. A change of direction is no change.
  double sum = metric.sum;
  if (ratio < 1) sum += metric.missing * metric.target;
  const int pods = metric.pods + metric.missing + (unready_matter ? metric.unready : 0);
  const double damped = sum / (pods * metric.target);
  if (within(damped, tolerance) || (ratio < 1) != (damped < 1)) return current;
  const int asked = ceil_replicas(damped * pods);
  if ((damped < 1 && asked > current) || (damped > 1 && asked < current)) return current;
  return asked;
}

ReplicaScaling::ReplicaScaling(ScalingOptions options) : options_(options) {
  assert(options_.replicas_min >= 1 && options_.replicas_max >= options_.replicas_min);
}

int ReplicaScaling::decide(ScalingTime now, int current, std::span<const ScalingMetric> metrics) {
  if (metrics.empty()) return std::clamp(current, options_.replicas_min, options_.replicas_max);
  int asked = 0;
  for (const ScalingMetric& metric : metrics)
    asked = std::max(asked, replicas_for(metric, current, options_.tolerance));
  const int to = limited(now, current, stabilised(now, current, asked));
  if (to > current) added_.push_back({now, to - current});
  return to;
}

int ReplicaScaling::stabilised(ScalingTime now, int current, int asked) {
  // What was there before the first call counts as its first recommendation.
  if (recommended_.empty()) recommended_.push_back({now, current});
  while (!recommended_.empty() && recommended_.back().replicas <= asked) recommended_.pop_back();
  recommended_.push_back({now, asked});
  while (now - recommended_.front().time >= options_.down_window && recommended_.size() > 1)
    recommended_.pop_front();
  // Growing waits for nothing; shrinking goes to the window's largest, and never grows by it.
  return asked >= current ? asked : std::min(current, recommended_.front().replicas);
}

int ReplicaScaling::limited(ScalingTime now, int current, int asked) {
  while (!added_.empty() && now - added_.front().time >= options_.up_period) added_.pop_front();
  int before = current;
  for (const At& added : added_) before -= added.replicas;
  before = std::max(before, 0);
  const int most =
      std::max(before + options_.up_pods, ceil_replicas(before * (1 + options_.up_share)));
  if (asked > current) asked = std::max(current, std::min(asked, most));
  return std::clamp(asked, options_.replicas_min, options_.replicas_max);
}

}  // namespace baozi::fleet
