#include "baozi/coro/event.h"

namespace baozi {

bool Event::Awaiter::await_suspend(std::coroutine_handle<>) noexcept {
  const std::lock_guard lock(event_.mutex_);
  if (!event_.set_) return wait_in(event_.waiters_);
  done_already();
  return false;
}

void Event::Awaiter::await_resume() {
  if (finish()) return;
  {
    const std::lock_guard lock(event_.mutex_);
    event_.waiters_.remove(*this);
  }
  throw_stopped();
}

void Event::set() noexcept {
  detail::WaiterList won;
  {
    const std::lock_guard lock(mutex_);
    set_ = true;
    while (detail::Waiter* waiter = waiters_.take_first()) won.push_back(*waiter);
  }
  resume_all(won);
}

void Event::reset() noexcept {
  const std::lock_guard lock(mutex_);
  set_ = false;
}

bool Event::is_set() const noexcept {
  const std::lock_guard lock(mutex_);
  return set_;
}

}  // namespace baozi
