// Parker: one thread sleeps here, others wake it. A futex without spinning: spinning before
// sleeping was measured to push the 99th percentile of a wake-up from microseconds into
// milliseconds on busy machines.
//
// A wake-up that comes before the sleep is kept, so none is lost.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <ctime>

#include "baozi/base/clock.h"

namespace baozi {

class Parker {
 public:
  // Returns once wake() was called since the last park().
  void park() noexcept {
    while (word_.exchange(0, std::memory_order_acquire) == 0) {
      syscall(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
    }
  }

  // As park, but not beyond `due`; whether it was woken.
  bool park_until(Time due) noexcept {
    if (due == kNever) {
      park();
      return true;
    }
    // FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC, which is what Clock reads.
    const auto since_boot =
        std::chrono::duration_cast<std::chrono::nanoseconds>(due.time_since_epoch()).count();
    const timespec until{.tv_sec = static_cast<std::time_t>(since_boot / 1'000'000'000),
                         .tv_nsec = static_cast<long>(since_boot % 1'000'000'000)};
    while (word_.exchange(0, std::memory_order_acquire) == 0) {
      const long result = syscall(SYS_futex, &word_, FUTEX_WAIT_BITSET_PRIVATE, 0, &until, nullptr,
                                  FUTEX_BITSET_MATCH_ANY);
      if (result == -1 && errno == ETIMEDOUT)
        return word_.exchange(0, std::memory_order_acquire) != 0;
    }
    return true;
  }

  void wake() noexcept {
    word_.store(1, std::memory_order_release);
    syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }

 private:
  std::atomic<std::uint32_t> word_{0};
  static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
};

}  // namespace baozi
