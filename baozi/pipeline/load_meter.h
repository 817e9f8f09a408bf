// LoadMeter: how busy a model's instances were, and how many requests waited, over a span of time.
// Means are weighted by time.
//
//   meter.set(now, 3, 1);                    3 requests wait, 1 instance runs, from now on
//   const Load load = meter.take(now, …);    since the last take
//
// Thread safety: by its owner. Pure: the caller says what time it is; one that runs backwards is
// as one that stands still.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "baozi/base/clock.h"

namespace baozi::pipeline {

struct Load {
  int instances = 1;       // that take work
  double queued = 0;       // requests that waited, on average
  double busy = 0;         // instances that ran, on average
  int busy_peak = 0;       // the most at once
  std::uint64_t rows = 0;  // that were answered, ever
  std::uint64_t runs = 0;  // batches, ever
};

class LoadMeter {
 public:
  void set(Time now, std::size_t queued, int busy) noexcept {
    advance(now);
    queued_ = static_cast<double>(queued);
    busy_ = busy;
    peak_ = std::max(peak_, busy);
  }

  // Of what it measured since the last time.
  Load take(Time now) noexcept {
    advance(now);
    Load load{.queued = queued_, .busy = static_cast<double>(busy_), .busy_peak = peak_};
    if (span_ > 0) {
      load.queued = queued_sum_ / span_;
      load.busy = busy_sum_ / span_;
    }
    span_ = queued_sum_ = busy_sum_ = 0;
    peak_ = busy_;
    return load;
  }

 private:
  void advance(Time now) noexcept {
    if (last_ != Time{} && now > last_) {
      const double span = std::chrono::duration<double>(now - last_).count();
      span_ += span;
      queued_sum_ += span * queued_;
      busy_sum_ += span * busy_;
    }
    last_ = now;
  }

  Time last_{};
  double queued_ = 0;
  int busy_ = 0;
  int peak_ = 0;
  double span_ = 0;  // seconds
  double queued_sum_ = 0;
  double busy_sum_ = 0;
};

}  // namespace baozi::pipeline
