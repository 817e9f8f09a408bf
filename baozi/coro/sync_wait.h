// sync_wait: runs a task on the calling thread until it ends. For main and tests only: it blocks
// the thread.
//
//   int main() { return sync_wait(run()); }
#pragma once

#include <optional>

#include "baozi/coro/lane.h"
#include "baozi/coro/task.h"

namespace baozi {
namespace detail {

class SyncOwner final : public RootOwner {
 public:
  explicit SyncOwner(WorkLoop& loop) noexcept : loop_(loop) {}
  std::coroutine_handle<> root_done(PromiseBase&) noexcept override {
    loop_.stop();
    return std::noop_coroutine();
  }

 private:
  WorkLoop& loop_;
};

// Ends on the loop it began on, so that the loop is left only after the task's last step.
template <class T>
Task<T> run_here(Task<T> task) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(task);
  } else {
    T result = co_await std::move(task);
    co_return result;
  }
}

}  // namespace detail

// Returns the task's result or throws its error. `context` gives the stop token, deadline and
// trace; it outlives the call.
template <class T>
T sync_wait(Task<T> task, const Context& context = {}) {
  WorkLoop loop("main");
  detail::SyncOwner owner(loop);
  auto handle = detail::run_here(std::move(task)).release();
  auto& promise = handle.promise();
  promise.root = &owner;
  promise.context = &context;
  promise.executor = &loop;
  loop.post(promise);
  loop.run();
  struct Destroy {
    decltype(handle) frame;
    ~Destroy() { frame.destroy(); }
  } destroy{handle};
  return promise.take();
}

}  // namespace baozi
