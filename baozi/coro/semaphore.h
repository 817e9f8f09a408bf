// Semaphore: at most N holders at a time, first come first served.
//
//   Semaphore slots(4);
//   Semaphore::Permit permit = co_await slots.acquire();    // given back when `permit` goes
//
// Thread safety: all methods; a Permit is a value of one owner. A wait that is stopped throws and
// takes nothing.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <utility>

#include "baozi/coro/wait.h"

namespace baozi {

class Semaphore {
 public:
  // The right to go on; the semaphore outlives it.
  class [[nodiscard]] Permit {
   public:
    Permit() = default;
    Permit(Permit&& other) noexcept : semaphore_(std::exchange(other.semaphore_, nullptr)) {}
    Permit& operator=(Permit&& other) noexcept {
      std::swap(semaphore_, other.semaphore_);
      return *this;
    }
    ~Permit() { release(); }
    // Before the end of the scope.
    void release() noexcept {
      if (Semaphore* semaphore = std::exchange(semaphore_, nullptr)) semaphore->release();
    }

   private:
    friend class Semaphore;
    explicit Permit(Semaphore& semaphore) noexcept : semaphore_(&semaphore) {}
    Semaphore* semaphore_ = nullptr;
  };

  class Awaiter final : public detail::Waiter {
   public:
    explicit Awaiter(Semaphore& semaphore) noexcept : semaphore_(semaphore) {}
    bool await_ready() noexcept { return stopped_already(); }
    bool await_suspend(std::coroutine_handle<>) noexcept;
    Permit await_resume();

   private:
    Semaphore& semaphore_;
  };

  explicit Semaphore(std::size_t permits) noexcept : permits_(permits) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  Awaiter acquire() noexcept { return Awaiter(*this); }
  std::optional<Permit> try_acquire() noexcept;
  // Adds permits: what a Permit does when it goes, and how a semaphore grows.
  void release(std::size_t permits = 1) noexcept;
  std::size_t available() const noexcept;

 private:
  mutable std::mutex mutex_;
  std::size_t permits_;  // guarded by mutex_; 0 while a waiter that was not stopped is listed
  detail::WaiterList waiters_;  // guarded by mutex_
};

}  // namespace baozi
