// Task<T>: a lazy coroutine that yields one T. It starts when awaited (or spawned), on the awaiter's executor and with the
// awaiter's Context, and resumes after every suspension on the executor it runs on.
//
//   Task<int> twice(int x) { co_return 2 * x; }
//   Task<int> four_times(int x) {
//     int y = co_await twice(x);          // co_await is always a whole statement (DESIGN.md, section 4)
//     int z = co_await twice(y);
//     co_return z;
//   }
//
// Thread safety: a Task is owned by one thread at a time. Its frame is never destroyed while it runs.
// The awaited T is moved out; an exception leaves through the co_await and, when it is a baozi::Error, notes the await.
#pragma once

#include <cassert>
#include <coroutine>
#include <exception>
#include <new>
#include <source_location>
#include <type_traits>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/coro/context.h"
#include "baozi/coro/executor.h"
#include "baozi/coro/frame_pool.h"
#include "baozi/coro/trace.h"

namespace baozi {

template <class T = void>
class Task;

namespace detail {

// Without optimisation, and under sanitizers, compilers do not turn symmetric transfer into tail calls; then every
// kInlineDepthMax-th transfer goes through the executor, so that the stack stays bounded.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
inline constexpr bool kTailCalls = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kTailCalls = false;
#else
inline constexpr bool kTailCalls = true;
#endif
#else
inline constexpr bool kTailCalls = true;
#endif
inline constexpr unsigned kInlineDepthMax = 64;
inline thread_local unsigned inline_depth = 0;

class PromiseBase;

// Told when a root task (one that nobody awaits) has ended; must destroy or keep the frame. Returns what runs next.
class RootOwner {
 public:
  virtual std::coroutine_handle<> root_done(PromiseBase& promise) noexcept = 0;

 protected:
  ~RootOwner() = default;
};

// The part of a promise that does not depend on T. As a Work it queues its own coroutine's resumption: a coroutine
// waits in one place at a time, so one node is enough. Read by tools/gdb/baozi.py.
class PromiseBase : public Work {
 public:
  PromiseBase() noexcept { run = &PromiseBase::resume_work; }

  std::coroutine_handle<> handle() noexcept { return std::coroutine_handle<PromiseBase>::from_promise(*this); }

  // Resumes on the coroutine's own executor. The coroutine may be running again, or gone, before this returns.
  void resume_later() noexcept { executor->post(*this); }

  // What a finished coroutine does: go on with its parent, on the parent's executor.
  std::coroutine_handle<> finish() noexcept {
    if (parent == nullptr) return root->root_done(*this);
    PromiseBase* to = parent;
    to->child = nullptr;
    if (to->executor == executor) return to->transfer();
    to->executor->post(*to);
    return std::noop_coroutine();
  }

  // Symmetric transfer to this coroutine, or a detour through its executor when the stack would grow.
  std::coroutine_handle<> transfer() noexcept {
    if constexpr (!kTailCalls) {
      if (++inline_depth >= kInlineDepthMax) {
        executor->post_yield(*this);
        return std::noop_coroutine();
      }
    }
    return handle();
  }

  Executor* executor = nullptr;       // where this coroutine runs and resumes
  const Context* context = nullptr;
  PromiseBase* parent = nullptr;      // who awaits it; null for a root
  PromiseBase* child = nullptr;       // the task it awaits now, for debuggers
  RootOwner* root = nullptr;          // roots only
  std::source_location site;          // the await it is in; empty line while it runs

 private:
  static void resume_work(Work* work) noexcept {
    if constexpr (!kTailCalls) inline_depth = 0;
    static_cast<PromiseBase*>(work)->handle().resume();
  }
};

// An awaiter of ours may ask for the promise before anything else: `void attach(PromiseBase&)`.
template <class A>
concept Attachable = requires(A& awaiter, PromiseBase& promise) { awaiter.attach(promise); };

template <class A>
decltype(auto) get_awaiter(A&& awaitable) {
  if constexpr (requires { std::forward<A>(awaitable).operator co_await(); }) {
    return std::forward<A>(awaitable).operator co_await();
  } else if constexpr (requires { operator co_await(std::forward<A>(awaitable)); }) {
    return operator co_await(std::forward<A>(awaitable));
  } else {
    return std::forward<A>(awaitable);
  }
}

// Around every await: notes where the coroutine waits and, when recording, when it suspends and resumes.
template <class A>
class AwaitScope {
 public:
  AwaitScope(A&& awaiter, PromiseBase& promise, std::source_location site)
      : awaiter_(std::forward<A>(awaiter)), promise_(promise) {
    promise_.site = site;
    if constexpr (Attachable<std::remove_reference_t<A>>) awaiter_.attach(promise_);
  }
  AwaitScope(const AwaitScope&) = delete;
  AwaitScope& operator=(const AwaitScope&) = delete;

  bool await_ready() noexcept(noexcept(awaiter_.await_ready())) { return awaiter_.await_ready(); }

  template <class P>
  auto await_suspend(std::coroutine_handle<P> handle) noexcept {
    if (trace::enabled()) [[unlikely]] note(trace::EventKind::kSuspend);
    return awaiter_.await_suspend(handle);
  }

  decltype(auto) await_resume() {
    if (trace::enabled()) [[unlikely]] note(trace::EventKind::kResume);
    using R = decltype(awaiter_.await_resume());
    if constexpr (std::is_void_v<R>) {
      awaiter_.await_resume();
      promise_.site = {};
    } else {
      R result = awaiter_.await_resume();
      promise_.site = {};
      return static_cast<R>(std::forward<R>(result));
    }
  }

 private:
  void note(trace::EventKind kind) noexcept {
    const RequestTrace* request = promise_.context != nullptr ? promise_.context->trace : nullptr;
    trace::record(kind, request, &promise_, promise_.site);
  }

  A awaiter_;
  PromiseBase& promise_;
};

template <class T>
class TaskPromise;

class TaskPromiseBase : public PromiseBase {
 public:
  static void* operator new(std::size_t size) { return frame_pool::allocate(size); }
  static void operator delete(void* frame, std::size_t size) noexcept { frame_pool::deallocate(frame, size); }

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
  auto await_transform(A&& awaitable, std::source_location where = std::source_location::current()) {
    return AwaitScope<decltype(get_awaiter(std::forward<A>(awaitable)))>(get_awaiter(std::forward<A>(awaitable)), *this, where);
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
