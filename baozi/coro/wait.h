// Waiter: the base of every awaiter that either completes or is stopped: sleep, Event, Semaphore,
// Channel.
//
// One compare-and-swap decides which. A stop request only claims the waiter and posts its
// coroutine; a stopped waiter takes itself off the primitive's list when it resumes, under the
// primitive's lock. So no callback ever takes a lock.
//
//   kSetup ──▶ kWaiting ──▶ kDone | kStopped   (from kSetup: does not suspend)
//
// Thread safety: try_complete and end from any thread; the rest belongs to the awaiting coroutine.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "baozi/coro/stop.h"
#include "baozi/coro/task.h"

namespace baozi::detail {

class WaiterList;

class Waiter {
 public:
  enum class State : std::uint8_t { kSetup, kWaiting, kDone, kStopped };

  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  void attach(PromiseBase& promise) noexcept { promise_ = &promise; }

  // The completing side, with the lock of the primitive that the waiter is listed in: whether this
  // waiter was won. Then give it what it waits for, unlock, and call resume().
  bool try_complete() noexcept {
    State seen = State::kWaiting;
    return state_.compare_exchange_strong(seen, State::kDone, std::memory_order_acq_rel);
  }
  void resume() noexcept { promise_->resume_later(); }

  // Completes or stops without a lock. The waiter may be gone when this returns.
  void end(State outcome) noexcept {
    State seen = State::kSetup;
    if (state_.compare_exchange_strong(seen, outcome, std::memory_order_acq_rel)) return;
    if (seen != State::kWaiting) return;
    if (state_.compare_exchange_strong(seen, outcome, std::memory_order_acq_rel)) resume();
  }

 protected:
  ~Waiter() = default;

  // Before anything else: whether the stop came before the await. Such an await takes nothing and
  // throws.
  bool stopped_already() noexcept {
    if (!token().stop_requested()) return false;
    state_.store(State::kStopped, std::memory_order_relaxed);
    return true;
  }
  // Completes on the spot; only before watch_stop().
  void done_already() noexcept { state_.store(State::kDone, std::memory_order_relaxed); }

  void watch_stop() noexcept {
    if (token().stop_possible()) on_stop_.emplace(token(), OnStop{this});
  }
  // The last step of await_suspend, and its result.
  bool publish() noexcept {
    State seen = State::kSetup;
    return state_.compare_exchange_strong(seen, State::kWaiting, std::memory_order_acq_rel);
  }
  // watch_stop, enlist and publish, with the list's lock.
  inline bool wait_in(WaiterList& list) noexcept;

  // The first step of await_resume: whether it completed. Afterwards no stop callback runs.
  bool finish() noexcept {
    on_stop_.reset();
    return state_.load(std::memory_order_acquire) == State::kDone;
  }
  [[noreturn]] void throw_stopped() const { throw stopped_error(token().reason()); }

 private:
  friend class WaiterList;
  struct OnStop {
    Waiter* waiter;
    void operator()() noexcept { waiter->end(State::kStopped); }
  };

  StopToken token() const noexcept { return promise_->context->stop; }

  PromiseBase* promise_ = nullptr;
  Waiter* next_ = nullptr;  // this and the next two: guarded by the list's lock
  Waiter* previous_ = nullptr;
  bool listed_ = false;
  std::atomic<State> state_{State::kSetup};
  std::optional<StopCallback<OnStop>> on_stop_;
};

// First come, first served; guarded by the lock of the primitive that owns it.
class WaiterList {
 public:
  bool empty() const noexcept { return head_ == nullptr; }

  void push_back(Waiter& waiter) noexcept {
    waiter.next_ = nullptr;
    waiter.previous_ = tail_;
    waiter.listed_ = true;
    (tail_ != nullptr ? tail_->next_ : head_) = &waiter;
    tail_ = &waiter;
  }

  // Does nothing when a completer has already taken it off.
  void remove(Waiter& waiter) noexcept {
    if (!waiter.listed_) return;
    (waiter.previous_ != nullptr ? waiter.previous_->next_ : head_) = waiter.next_;
    (waiter.next_ != nullptr ? waiter.next_->previous_ : tail_) = waiter.previous_;
    waiter.listed_ = false;
  }

  Waiter* pop_front() noexcept {
    Waiter* first = head_;
    if (first != nullptr) remove(*first);
    return first;
  }

  // The first waiter that was not stopped, won and taken off; null when there is none.
  Waiter* take_first() noexcept {
    while (Waiter* first = pop_front()) {
      if (first->try_complete()) return first;
    }
    return nullptr;
  }

 private:
  Waiter* head_ = nullptr;
  Waiter* tail_ = nullptr;
};

// Resumes waiters that were won under the lock, after it: once resumed, they may destroy the
// primitive.
inline void resume_all(WaiterList& won) noexcept {
  while (Waiter* waiter = won.pop_front()) waiter->resume();
}

inline bool Waiter::wait_in(WaiterList& list) noexcept {
  watch_stop();
  list.push_back(*this);
  if (publish()) return true;
  list.remove(*this);
  return false;
}

}  // namespace baozi::detail
