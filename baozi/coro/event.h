// Event: tasks wait until it is set. Stays set until reset.
//
//   Event ready;
//   co_await ready.wait();      // in any number of tasks
//   ready.set();                // from any thread
//
// Thread safety: all methods. A waiter that was let through may destroy the event at once. A wait
// that is stopped throws.
#pragma once

#include <mutex>

#include "baozi/coro/wait.h"

namespace baozi {

class Event {
 public:
  class Awaiter final : public detail::Waiter {
   public:
    explicit Awaiter(Event& event) noexcept : event_(event) {}
    bool await_ready() noexcept { return stopped_already(); }
    bool await_suspend(std::coroutine_handle<>) noexcept;
    void await_resume();

   private:
    Event& event_;
  };

  explicit Event(bool set = false) noexcept : set_(set) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void set() noexcept;
  void reset() noexcept;
  bool is_set() const noexcept;
  Awaiter wait() noexcept { return Awaiter(*this); }

 private:
  mutable std::mutex mutex_;
  bool set_;                    // guarded by mutex_
  detail::WaiterList waiters_;  // guarded by mutex_
};

}  // namespace baozi
