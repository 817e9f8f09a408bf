// Channel<T>: a bounded queue between tasks, first come first served on both sides.
//
//   Channel<int> numbers(16);
//   co_await numbers.send(1);                               // waits while full
//   std::optional<int> next = co_await numbers.receive();  // waits while empty; none if closed
//   numbers.close();
//
// Thread safety: all methods. A wait that is stopped throws; a stopped send has sent nothing, a
// stopped receive has taken nothing. The channel outlives its waiters.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/coro/wait.h"

namespace baozi {

template <class T>
class Channel {
  static_assert(std::is_nothrow_move_constructible_v<T>,
                "values are moved under the channel's lock");

 public:
  class SendAwaiter;
  class ReceiveAwaiter;

  // Throws Error kInvalidArgument for 0.
  explicit Channel(std::size_t capacity) : capacity_(capacity) {
    if (capacity == 0)
      throw Error(Code::kInvalidArgument,
                  "a Channel holds at least one value: give a capacity of 1 or more");
    ring_ = std::make_unique<std::optional<T>[]>(capacity);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Throws Error kFailedPrecondition when the channel is, or meanwhile gets, closed.
  SendAwaiter send(T value) noexcept { return SendAwaiter(*this, std::move(value)); }
  ReceiveAwaiter receive() noexcept { return ReceiveAwaiter(*this); }

  // `value` is moved from only on success; false when full or closed.
  bool try_send(T&& value) noexcept {
    ReceiveAwaiter* receiver = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (closed_ || !put_locked(value, receiver)) return false;
    }
    if (receiver != nullptr) receiver->resume();
    return true;
  }

  std::optional<T> try_receive() noexcept {
    SendAwaiter* sender = nullptr;
    std::optional<T> value;
    {
      const std::lock_guard lock(mutex_);
      value = take_locked(sender);
    }
    if (sender != nullptr) sender->resume();
    return value;
  }

  // What is queued can still be received; senders that wait are refused. Closing again does
  // nothing.
  void close() noexcept {
    detail::WaiterList won;
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      while (detail::Waiter* waiter = receivers_.take_first()) won.push_back(*waiter);
      while (detail::Waiter* waiter = senders_.take_first()) {
        static_cast<SendAwaiter*>(waiter)->refused_ = true;
        won.push_back(*waiter);
      }
    }
    detail::resume_all(won);
  }

  bool closed() const noexcept {
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  std::size_t size() const noexcept {
    const std::lock_guard lock(mutex_);
    return count_;
  }
  std::size_t capacity() const noexcept { return capacity_; }

  class SendAwaiter final : public detail::Waiter {
   public:
    SendAwaiter(Channel& channel, T&& value) noexcept
        : channel_(channel), value_(std::move(value)) {}
    bool await_ready() noexcept { return stopped_already(); }
    bool await_suspend(std::coroutine_handle<>) noexcept {
      ReceiveAwaiter* receiver = nullptr;
      {
        const std::lock_guard lock(channel_.mutex_);
        refused_ = channel_.closed_;
        if (!refused_ && !channel_.put_locked(value_, receiver)) return wait_in(channel_.senders_);
        done_already();
      }
      if (receiver != nullptr) receiver->resume();
      return false;
    }
    void await_resume() {
      if (!finish()) {
        channel_.leave(channel_.senders_, *this);
        throw_stopped();
      }
      if (refused_)
        throw Error(Code::kFailedPrecondition,
                    "the channel is closed: nothing can be sent any more");
    }

   private:
    friend class Channel;
    Channel& channel_;
    T value_;
    bool refused_ = false;
  };

  class ReceiveAwaiter final : public detail::Waiter {
   public:
    explicit ReceiveAwaiter(Channel& channel) noexcept : channel_(channel) {}
    bool await_ready() noexcept { return stopped_already(); }
    bool await_suspend(std::coroutine_handle<>) noexcept {
      SendAwaiter* sender = nullptr;
      {
        const std::lock_guard lock(channel_.mutex_);
        value_ = channel_.take_locked(sender);
        if (!value_ && !channel_.closed_) return wait_in(channel_.receivers_);
        done_already();
      }
      if (sender != nullptr) sender->resume();
      return false;
    }
    std::optional<T> await_resume() {
      if (finish()) return std::move(value_);
      channel_.leave(channel_.receivers_, *this);
      throw_stopped();
    }

   private:
    friend class Channel;
    Channel& channel_;
    std::optional<T> value_;
  };

 private:
  // Hands `value` to the first receiver (then to be resumed) or queues it; false when full.
  bool put_locked(T& value, ReceiveAwaiter*& receiver) noexcept {
    if (detail::Waiter* waiter = receivers_.take_first()) {
      receiver = static_cast<ReceiveAwaiter*>(waiter);
      receiver->value_.emplace(std::move(value));
      return true;
    }
    if (count_ == capacity_) return false;
    push_locked(value);
    return true;
  }

  // The oldest value; the first sender that waits (then to be resumed) moves up.
  std::optional<T> take_locked(SendAwaiter*& sender) noexcept {
    if (count_ == 0) return std::nullopt;
    std::optional<T> value = std::move(ring_[first_]);
    ring_[first_].reset();
    first_ = first_ + 1 == capacity_ ? 0 : first_ + 1;
    --count_;
    if (detail::Waiter* waiter = senders_.take_first()) {
      sender = static_cast<SendAwaiter*>(waiter);
      push_locked(sender->value_);
    }
    return value;
  }

  void push_locked(T& value) noexcept {
    std::size_t at = first_ + count_;
    if (at >= capacity_) at -= capacity_;
    ring_[at].emplace(std::move(value));
    ++count_;
  }

  void leave(detail::WaiterList& list, detail::Waiter& waiter) noexcept {
    const std::lock_guard lock(mutex_);
    list.remove(waiter);
  }

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::unique_ptr<std::optional<T>[]> ring_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  bool closed_ = false;
  detail::WaiterList senders_;    // waits only while the ring is full
  detail::WaiterList receivers_;  // waits only while the ring is empty
};

}  // namespace baozi
