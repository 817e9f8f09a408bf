#include "baozi/coro/semaphore.h"

namespace baozi {

bool Semaphore::Awaiter::await_suspend(std::coroutine_handle<>) noexcept {
  const std::lock_guard lock(semaphore_.mutex_);
  if (semaphore_.permits_ == 0) return wait_in(semaphore_.waiters_);
  --semaphore_.permits_;
  done_already();
  return false;
}

Semaphore::Permit Semaphore::Awaiter::await_resume() {
  if (finish()) return Permit(semaphore_);
  {
    const std::lock_guard lock(semaphore_.mutex_);
    semaphore_.waiters_.remove(*this);
  }
  throw_stopped();
}

std::optional<Semaphore::Permit> Semaphore::try_acquire() noexcept {
  const std::lock_guard lock(mutex_);
  if (permits_ == 0) return std::nullopt;
  --permits_;
  return Permit(*this);
}

void Semaphore::release(std::size_t permits) noexcept {
  detail::WaiterList won;
  {
    const std::lock_guard lock(mutex_);
    for (; permits > 0; --permits) {
      detail::Waiter* waiter = waiters_.take_first();
      if (waiter == nullptr) break;
      won.push_back(*waiter);
    }
    permits_ += permits;
  }
  resume_all(won);
}

std::size_t Semaphore::available() const noexcept {
  const std::lock_guard lock(mutex_);
  return permits_;
}

}  // namespace baozi
