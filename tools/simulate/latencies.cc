#include "tools/simulate/latencies.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace baozi::simulate {

void Latencies::add(double requests, double seconds) {
  if (seconds != last_seconds_) {
    last_seconds_ = seconds;
    const double bucket = std::log2(std::max(seconds, 1e-3) * 1e3) * 16;
    last_bucket_ = std::min(static_cast<int>(bucket), kBuckets - 1);
  }
  buckets_[static_cast<std::size_t>(last_bucket_)] += requests;
  answered_ += requests;
  if (seconds > target_) late_ += requests;
}

double Latencies::quantile(double share) const {
  if (answered_ <= 0) return 0;
  double below = 0;
  for (int bucket = 0; bucket < kBuckets; ++bucket) {
    below += buckets_[static_cast<std::size_t>(bucket)];
    // The middle of the bucket.
    if (below >= share * answered_ * (1 - 1e-12)) return 1e-3 * std::exp2((bucket + 0.5) / 16);
  }
  return 1e-3 * std::exp2(kBuckets / 16.0);
}

void Latencies::clear() { *this = Latencies(target_); }

void Latencies::merge(const Latencies& other) {
  answered_ += other.answered_;
  late_ += other.late_;
  refused_ += other.refused_;
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket)
    buckets_[bucket] += other.buckets_[bucket];
}

}  // namespace baozi::simulate
