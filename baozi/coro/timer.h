// Timers of the process: one thread, started on first use, that sleeps until the earliest entry is
// due.
//
// Entries are intrusive: arming one allocates nothing beyond the heap's array. add and cancel take
// O(log n); the thread is woken only by an entry that is due before all others.
//
// Thread safety: all functions. An entry is owned by one caller, who keeps it alive until it has
// fired or was cancelled.
#pragma once

#include <cstddef>

#include "baozi/base/clock.h"

namespace baozi {

class TimerEntry {
 public:
  // Runs on the timer thread; short: it posts or flips a flag. The entry may be destroyed by the
  // time it returns.
  using Fire = void (*)(TimerEntry*) noexcept;

  explicit TimerEntry(Fire fire) noexcept : fire_(fire) {}
  TimerEntry(const TimerEntry&) = delete;
  TimerEntry& operator=(const TimerEntry&) = delete;

 private:
  friend class TimerHeap;
  static constexpr std::size_t kNotQueued = static_cast<std::size_t>(-1);

  Fire fire_;
  Time due_{};
  std::size_t index_ = kNotQueued;  // guarded by the timer's mutex
};

namespace timer {

// Fires `entry` once, at `due` or soon after. The entry is not armed already.
void add(TimerEntry& entry, Time due);
// After this the entry neither runs nor will: waits for a run in progress, unless called from it.
// Whether it was still armed.
bool cancel(TimerEntry& entry) noexcept;
// Entries armed now.
std::size_t armed() noexcept;

}  // namespace timer
}  // namespace baozi
