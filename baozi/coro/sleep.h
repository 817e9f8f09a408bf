// Sleeping without a thread: the coroutine is resumed by the process's timer.
//
//   co_await sleep_for(std::chrono::milliseconds(5));
//   co_await sleep_until(deadline);
//
// A stop request ends the sleep at once: it throws Error{reason}.
#pragma once

#include "baozi/base/clock.h"
#include "baozi/coro/timer.h"
#include "baozi/coro/wait.h"

namespace baozi {
namespace detail {

class SleepAwaiter final : public Waiter, private TimerEntry {
 public:
  explicit SleepAwaiter(Time due) noexcept : TimerEntry(&SleepAwaiter::fire), due_(due) {}

  bool await_ready() noexcept {
    if (stopped_already()) return true;
    if (due_ > Clock::now()) return false;
    done_already();
    return true;
  }
  bool await_suspend(std::coroutine_handle<>) noexcept {
    watch_stop();
    if (due_ != kNever) timer::add(*this, due_);
    return publish();
  }
  void await_resume() {
    if (finish()) return;
    timer::cancel(*this);
    throw_stopped();
  }

 private:
  static void fire(TimerEntry* entry) noexcept {
    static_cast<SleepAwaiter*>(entry)->end(State::kDone);
  }

  Time due_;
};

}  // namespace detail

inline detail::SleepAwaiter sleep_until(Time due) noexcept { return detail::SleepAwaiter(due); }

// A span so long that the clock cannot hold its end sleeps until stopped.
inline detail::SleepAwaiter sleep_for(Duration span) noexcept {
  const Time now = Clock::now();
  return detail::SleepAwaiter(span < kNever - now ? now + span : kNever);
}

}  // namespace baozi
