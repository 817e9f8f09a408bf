// Runs a task until a time at most.
//
//   Tensor answer = co_await with_timeout(infer(input), std::chrono::milliseconds(50));
//
// The task's Context carries the earlier of the two deadlines and a stop token of its own, which
// follows the caller's. When the time comes the task is asked to stop and awaited: the result is
// then Error kDeadlineExceeded, also when the task gives a late value; an error of the task's own
// passes unchanged.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "baozi/coro/task.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/timer.h"

namespace baozi {
namespace detail {

// A Context whose stop follows `parent`'s and comes by itself at `deadline`. Lives in the frame
// that awaits the task.
class DeadlineScope final : private TimerEntry {
 public:
  DeadlineScope(const Context& parent, Time deadline)
      : TimerEntry(&DeadlineScope::fire),
        parent_(parent.stop),
        context_{stop_.token(), std::min(parent.deadline, deadline), parent.trace} {
    if (parent_.stop_possible()) on_parent_stop_.emplace(parent_, FollowParent{this});
    if (context_.deadline != kNever) timer::add(*this, context_.deadline);
  }
  ~DeadlineScope() {
    if (context_.deadline != kNever) timer::cancel(*this);
  }

  const Context& context() const noexcept { return context_; }
  bool passed() const noexcept { return stop_.reason() == Code::kDeadlineExceeded; }

 private:
  struct FollowParent {
    DeadlineScope* scope;
    void operator()() noexcept { scope->stop_.request_stop(scope->parent_.reason()); }
  };
  static void fire(TimerEntry* entry) noexcept {
    static_cast<DeadlineScope*>(entry)->stop_.request_stop(Code::kDeadlineExceeded);
  }

  StopSource stop_;
  const StopToken parent_;
  const Context context_;
  std::optional<StopCallback<FollowParent>> on_parent_stop_;
};

}  // namespace detail

template <class T>
Task<T> with_deadline(Task<T> task, Time deadline) {
  const Context& outer = co_await this_context();
  detail::DeadlineScope scope(outer, deadline);
  Task<T> bound = std::move(task).with_context(scope.context());
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(bound);
      if (scope.passed()) throw stopped_error(Code::kDeadlineExceeded);
    } else {
      T result = co_await std::move(bound);
      if (scope.passed()) throw stopped_error(Code::kDeadlineExceeded);
      co_return result;
    }
  } catch (const Error& error) {
    if (!scope.passed() || error.code() != Code::kCancelled) throw;
    throw stopped_error(Code::kDeadlineExceeded);
  }
}

template <class T>
Task<T> with_timeout(Task<T> task, Duration span) {
  const Time now = Clock::now();
  return with_deadline(std::move(task), span < kNever - now ? now + span : kNever);
}

}  // namespace baozi
