// Latencies: quantities of requests by how long they took, in windows of time.
//
// Thread safety: none.
#pragma once

#include <array>

namespace baozi::simulate {

class Latencies {
 public:
  explicit Latencies(double target_seconds) : target_(target_seconds) {}

  void add(double requests, double seconds);
  void refuse(double requests) { refused_ += requests; }

  double answered() const { return answered_; }
  double late() const { return late_; }  // of the answered: above the target
  double refused() const { return refused_; }
  // What `share` of the answered is below, within 5 %; 0 when there are none.
  double quantile(double share) const;
  void clear();
  void merge(const Latencies& other);

 private:
  // From 1 ms, 16 for each doubling: up to 18 hours.
  static constexpr int kBuckets = 26 * 16;
  double target_;
  double answered_ = 0;
  double late_ = 0;
  double refused_ = 0;
  double last_seconds_ = -1;  // most are as long as the one before: its bucket is kept
  int last_bucket_ = 0;
  std::array<double, kBuckets> buckets_{};
};

}  // namespace baozi::simulate
