// RateMeter: how fast a sum that only grows (CPU seconds, requests) grew over the last seconds.
// Whoever reads it, and however often, sees the same span of time.
//
//   RateMeter meter;
//   double per_second = meter.read(Clock::now(), requests_so_far);
//
// Thread safety: none.
#pragma once

#include <chrono>

#include "baozi/base/clock.h"

namespace baozi::fleet {

class RateMeter {
 public:
  static constexpr Duration kSpan = std::chrono::seconds(2);

  // In [0, …): what was added since a reading between one and two spans ago (or the first), by
  // the seconds that passed. 0 at the first reading. A clock or a sum that steps back begins anew.
  double read(Time now, double sum) noexcept;

 private:
  struct Sample {
    Time at = kNever;
    double sum = 0;
  };
  Sample older_;  // what the rate is counted from
  Sample newer_;  // takes its place
};

}  // namespace baozi::fleet
