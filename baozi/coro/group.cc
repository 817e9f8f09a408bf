#include "baozi/coro/group.h"

#include <cassert>

namespace baozi::detail {

Group::Group(const Context& parent, Executor& executor, StopAt stop_at) noexcept
    : stop_at_(stop_at),
      parent_(parent.stop),
      context_{stop_.token(), parent.deadline, parent.trace},
      executor_(executor) {
  if (parent_.stop_possible()) on_parent_stop_.emplace(parent_, FollowParent{this});
}

Group::~Group() {
  assert(running_.load(std::memory_order_acquire) == 1 && "a group must be joined before it goes");
}

void Group::start(TaskPromiseBase& promise) noexcept {
  running_.fetch_add(1, std::memory_order_relaxed);
  promise.root = this;
  promise.context = &context_;
  if (promise.executor == nullptr) promise.executor = &executor_;
  promise.executor->post(promise);
}

std::coroutine_handle<> Group::root_done(PromiseBase& promise) noexcept {
  auto& ended = static_cast<TaskPromiseBase&>(promise);
  if (stop_at_ == StopAt::kFirstEnd || ended.error()) {
    TaskPromiseBase* nobody = nullptr;
    if (winner_.compare_exchange_strong(nobody, &ended, std::memory_order_acq_rel))
      stop_.request_stop(Code::kCancelled);
  }
  Executor* executor = promise.executor;  // the frame goes with the last one out
  if (running_.fetch_sub(1, std::memory_order_acq_rel) != 1) return std::noop_coroutine();
  if (joiner_->executor == executor) return joiner_->transfer();
  joiner_->resume_later();
  return std::noop_coroutine();
}

void Group::rethrow_if_failed() const {
  const TaskPromiseBase* winner = winner_.load(std::memory_order_acquire);
  if (winner != nullptr && winner->error()) std::rethrow_exception(winner->error());
}

}  // namespace baozi::detail
