// AwaitScope: what surrounds every co_await of a Task. It notes where the coroutine waits, for the
// async stack of errors and for debuggers, and records the await while somebody traces.
//
// Thread safety: lives in the awaiting coroutine's frame.
#pragma once

#include <coroutine>
#include <source_location>
#include <type_traits>
#include <utility>

#include "baozi/coro/promise.h"
#include "baozi/coro/trace.h"

namespace baozi::detail {

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

// Around every await: notes where the coroutine waits and, when recording, when it suspends and
// resumes.
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
    if (trace::enabled()) [[unlikely]] {
      noted_ = true;
      note(trace::EventKind::kSuspend);
    }
    return awaiter_.await_suspend(handle);
  }

  decltype(auto) await_resume() {
    if (noted_) [[unlikely]]
      note(trace::EventKind::kResume);
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
    const PromiseBase* root = &promise_;
    while (root->parent != nullptr) root = root->parent;
    trace::record(kind, request, &promise_, root, promise_.site);
  }

  A awaiter_;
  PromiseBase& promise_;
  bool noted_ = false;  // the suspend is on record, so the resume must be
};

}  // namespace baozi::detail
