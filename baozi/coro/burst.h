// Burst: puts off to the end of a burst of events what is better done once for all of them: waking
// a sleeping thread, deciding about a batch.
//
// An I/O thread that finds twenty sockets ready and submits twenty requests to a model pays one
// look at the queue and one futex call instead of twenty, and the model's lane finds a batch
// instead of single requests.
//
//   Burst burst;                           on the thread, for as long as its loop runs
//   … handle one event …
//   if (burst.overdue()) burst.end();
//   … before the loop sleeps, or looks for the next burst:
//   burst.end();
//
// A thread that blocks must not leave others asleep: whatever waits in coro (WorkLoop::run, stop,
// the destructors) calls end_current() first.
//
// Thread safety: the thread that made it.
#pragma once

#include <array>
#include <cstddef>

#include "baozi/base/clock.h"

namespace baozi {

class Burst {
 public:
  // What is to be done at the end. It must not go away between defer() and burst_ended(), which is
  // called once for each defer(), on the same thread.
  class Deferred {
   public:
    virtual void burst_ended() noexcept = 0;

   protected:
    ~Deferred() = default;
  };

  Burst() noexcept;
  ~Burst();
  Burst(const Burst&) = delete;
  Burst& operator=(const Burst&) = delete;

  // Whether this thread has one.
  static bool is_open() noexcept;
  // Calls it when this thread's burst ends; at once when the thread has none.
  static void defer(Deferred& deferred) noexcept;
  // Ends this thread's bursts, if it has any.
  static void end_current() noexcept;

  // Whether something has been put off for longer than a burst may take.
  bool overdue() const noexcept { return count_ != 0 && Clock::now() >= due_; }
  // What is put off meanwhile is done, too.
  void end() noexcept;

 private:
  std::array<Deferred*, 16> deferred_;
  std::size_t count_ = 0;
  std::size_t done_ = 0;  // of those; more than 0 in end() only
  Time due_{};
  Burst* const outer_;
};

}  // namespace baozi
