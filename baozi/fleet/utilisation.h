// UtilisationMeter: the share of the cores that was busy over the last seconds, from a sum of CPU
// seconds that only grows. Whoever reads it, and however often, sees the same span of time.
//
//   UtilisationMeter meter(cores);
//   double busy = meter.read(Clock::now(), cpu_seconds_so_far);
//
// Thread safety: none.
#pragma once

#include <chrono>

#include "baozi/base/clock.h"

namespace baozi::fleet {

class UtilisationMeter {
 public:
  static constexpr Duration kSpan = std::chrono::seconds(2);

  explicit UtilisationMeter(int cores) noexcept : cores_(cores < 1 ? 1 : cores) {}

  // In [0, …): what was used since a reading between one and two spans ago (or the first), by
  // the time that passed and the cores. 0 at the first reading. A clock or a sum that steps back
  // begins anew.
  double read(Time now, double busy_seconds) noexcept;

 private:
  struct Sample {
    Time at = kNever;
    double busy_seconds = 0;
  };
  int cores_;
  Sample older_;  // what the share is counted from
  Sample newer_;  // takes its place
};

}  // namespace baozi::fleet
