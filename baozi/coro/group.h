// Group: what when_all and race are made of. Runs tasks that the caller keeps, side by side, and
// waits for all of them; the first to end, or the first to fail, stops the others.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <variant>

#include "baozi/coro/task.h"

namespace baozi::detail {

class Group final : private RootOwner {
 public:
  enum class StopAt { kFirstError, kFirstEnd };

  // Tasks inherit `parent`; those without an executor of their own run on `executor`.
  Group(const Context& parent, Executor& executor, StopAt stop_at) noexcept;
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  // Starts `task` soon. The caller keeps it until join() is over.
  template <class T>
  void start(Task<T>& task) noexcept {
    start(task.promise());
  }

  class JoinAwaiter {
   public:
    explicit JoinAwaiter(Group& group) noexcept : group_(group) {}
    void attach(PromiseBase& promise) noexcept { group_.joiner_ = &promise; }
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<>) noexcept {
      return group_.running_.fetch_sub(1, std::memory_order_acq_rel) != 1;
    }
    void await_resume() const noexcept { group_.running_.store(1, std::memory_order_relaxed); }

   private:
    Group& group_;
  };
  // Waits for all tasks; throws nothing.
  JoinAwaiter join() noexcept { return JoinAwaiter(*this); }

  // After join: the task that stopped the others, if any.
  template <class T>
  bool decided_by(Task<T>& task) const noexcept {
    return winner_.load(std::memory_order_acquire) == &task.promise();
  }
  void rethrow_if_failed() const;

 private:
  struct FollowParent {
    Group* group;
    void operator()() noexcept { group->stop_.request_stop(group->parent_.reason()); }
  };

  void start(TaskPromiseBase& promise) noexcept;
  std::coroutine_handle<> root_done(PromiseBase& promise) noexcept override;

  const StopAt stop_at_;
  StopSource stop_;
  const StopToken parent_;
  const Context context_;
  Executor& executor_;
  std::optional<StopCallback<FollowParent>> on_parent_stop_;
  std::atomic<std::size_t> running_{1};  // the tasks and the joiner
  std::atomic<TaskPromiseBase*> winner_{nullptr};
  PromiseBase* joiner_ = nullptr;
};

// void as a value.
template <class T>
using NonVoid = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
NonVoid<T> take_result(Task<T>& task) {
  if constexpr (std::is_void_v<T>) {
    task.promise().take();
    return {};
  } else {
    return task.promise().take();
  }
}

}  // namespace baozi::detail
