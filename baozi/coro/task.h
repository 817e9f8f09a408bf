// Task<T>: a lazy coroutine that yields one T. It starts when awaited (or spawned), on the
// awaiter's executor and with the awaiter's Context, and resumes after every suspension on the
// executor it runs on.
//
//   Task<int> twice(int x) { co_return 2 * x; }
//   Task<int> four_times(int x) {
//     int y = co_await twice(x);  // co_await is always a whole statement (DESIGN.md, section 4)
//     int z = co_await twice(y);
//     co_return z;
//   }
//
// Thread safety: a Task is owned by one thread at a time. Its frame is never destroyed while it
// runs. The awaited T is moved out; an exception leaves through the co_await and, when it is a
// baozi::Error, notes the await.
#pragma once

#include <cassert>
#include <coroutine>
#include <exception>
#include <new>
#include <source_location>
#include <type_traits>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/coro/await_scope.h"
#include "baozi/coro/frame_pool.h"
#include "baozi/coro/promise.h"

namespace baozi {

template <class T = void>
class Task;

namespace detail {

template <class T>
class TaskPromise;

class TaskPromiseBase : public PromiseBase {
 public:
  static void* operator new(std::size_t size) { return frame_pool::allocate(size); }
  static void operator delete(void* frame, std::size_t size) noexcept {
    frame_pool::deallocate(frame, size);
  }

  std::suspend_always initial_suspend() noexcept { return {}; }

  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> handle) noexcept {
      return handle.promise().finish();
    }
    void await_resume() noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }

  void unhandled_exception() noexcept {
    try {
      throw;
    } catch (Error& error) {
      if (site.line() != 0) error.add_await(site);
      error_ = std::current_exception();
    } catch (...) {
      error_ = std::current_exception();
    }
  }

  template <class A>
  auto await_transform(A&& awaitable,
                       std::source_location where = std::source_location::current()) {
    return AwaitScope<decltype(get_awaiter(std::forward<A>(awaitable)))>(
        get_awaiter(std::forward<A>(awaitable)), *this, where);
  }

  const std::exception_ptr& error() const noexcept { return error_; }

 protected:
  std::exception_ptr error_;
};

template <class T>
class TaskPromise final : public TaskPromiseBase {
 public:
  TaskPromise() noexcept {}
  ~TaskPromise() {
    if (has_value_) value_.~T();
  }
  Task<T> get_return_object() noexcept;

  template <class U>
    requires std::is_convertible_v<U&&, T>
  void return_value(U&& value) noexcept(std::is_nothrow_constructible_v<T, U&&>) {
    ::new (static_cast<void*>(&value_)) T(std::forward<U>(value));
    has_value_ = true;
  }
  T take() {
    if (error_) std::rethrow_exception(std::move(error_));
    return std::move(value_);
  }

 private:
  static_assert(alignof(T) <= 16, "frames are 16-byte aligned");
  union {
    T value_;
  };
  bool has_value_ = false;
};

template <>
class TaskPromise<void> final : public TaskPromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() noexcept {}
  void take() {
    if (error_) std::rethrow_exception(std::move(error_));
  }
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using value_type = T;

  Task() = default;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    Task dying(std::exchange(handle_, std::exchange(other.handle_, nullptr)));
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool valid() const noexcept { return static_cast<bool>(handle_); }

  // Runs under `context` instead of the awaiter's; `context` must outlive the task.
  Task&& with_context(const Context& context) && noexcept {
    handle_.promise().context = &context;
    return std::move(*this);
  }
  // Starts on `executor` instead of the awaiter's; the awaiter resumes on its own.
  Task&& on(Executor& executor) && noexcept {
    handle_.promise().executor = &executor;
    return std::move(*this);
  }

  class Awaiter {
   public:
    explicit Awaiter(std::coroutine_handle<promise_type> child) noexcept : child_(child) {}
    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> handle) noexcept {
      detail::PromiseBase& parent = handle.promise();
      detail::PromiseBase& child = child_.promise();
      parent.child = &child;
      child.parent = &parent;
      if (child.context == nullptr) child.context = parent.context;
      if (child.executor == nullptr || child.executor == parent.executor) {
        child.executor = parent.executor;
        return child.transfer();
      }
      child.executor->post(child);
      return std::noop_coroutine();
    }
    T await_resume() { return child_.promise().take(); }

   private:
    std::coroutine_handle<promise_type> child_;
  };

  Awaiter operator co_await() && noexcept {
    assert(handle_ && "an empty Task is awaited");
    return Awaiter(handle_);
  }

  // For the library's own drivers (Nursery, sync_wait): hands out the frame.
  std::coroutine_handle<promise_type> release() noexcept { return std::exchange(handle_, nullptr); }
  // As release, but this Task keeps the frame (when_all, race).
  promise_type& promise() const noexcept { return handle_.promise(); }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

namespace detail {

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise<T>>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise<void>>::from_promise(*this));
}

}  // namespace detail
}  // namespace baozi
