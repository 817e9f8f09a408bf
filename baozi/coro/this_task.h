// What a coroutine can ask of, and do with, itself.
//
//   const Context& context = co_await this_context();
//   co_await switch_to(cpu_pool);            // from here on this coroutine runs there
//   co_await yield();                        // lets others on this executor go first
//
// switch_to moves this coroutine only: when it returns, its awaiter goes on where that one runs.
#pragma once

#include "baozi/coro/task.h"

namespace baozi {
namespace detail {

struct ContextAwaiter {
  void attach(PromiseBase& promise) noexcept { context = promise.context; }
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  const Context& await_resume() const noexcept { return *context; }
  const Context* context = nullptr;
};

struct ExecutorAwaiter {
  void attach(PromiseBase& promise) noexcept { executor = promise.executor; }
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  Executor& await_resume() const noexcept { return *executor; }
  Executor* executor = nullptr;
};

struct SwitchAwaiter {
  void attach(PromiseBase& promise) noexcept { here = promise.executor == to; }
  bool await_ready() const noexcept { return here; }
  template <class P>
  void await_suspend(std::coroutine_handle<P> handle) const noexcept {
    PromiseBase& promise = handle.promise();
    promise.executor = to;
    to->post(promise);
  }
  void await_resume() const noexcept {}
  Executor* to;
  bool here = false;
};

struct YieldAwaiter {
  bool await_ready() const noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> handle) const noexcept {
    PromiseBase& promise = handle.promise();
    if (!promise.executor->has_waiting()) return false;
    promise.executor->post_yield(promise);
    return true;
  }
  void await_resume() const noexcept {}
};

}  // namespace detail

inline detail::ContextAwaiter this_context() noexcept { return {}; }
inline detail::ExecutorAwaiter this_executor() noexcept { return {}; }
inline detail::SwitchAwaiter switch_to(Executor& executor) noexcept { return {&executor}; }
inline detail::YieldAwaiter yield() noexcept { return {}; }

}  // namespace baozi
