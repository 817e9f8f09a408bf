// found_while_idle: what an executor's thread does when it has run out of work and before it
// sleeps. It looks again for a short while and lets everybody else run between two looks: to wake a
// processor that idles takes about as long as most answers take to come.
// docs/decisions/003-bursts.md has the figures.
#pragma once

#include <sched.h>

#include "baozi/base/clock.h"

namespace baozi {

inline constexpr Duration kPollBeforeSleep = std::chrono::microseconds(50);

// Whether `found` said yes in time. It is asked at least once.
template <class Found>
bool found_while_idle(Found found) {
  const Time until = Clock::now() + kPollBeforeSleep;
  do {
    if (found()) return true;
    sched_yield();
  } while (Clock::now() < until);
  return false;
}

}  // namespace baozi
