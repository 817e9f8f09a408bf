#include "baozi/coro/nursery.h"

namespace baozi {

Nursery::Nursery(const Context& parent, Executor& executor) noexcept
    : parent_stop_(parent.stop),
      context_{stop_.token(), parent.deadline, parent.trace},
      executor_(executor) {
  if (parent_stop_.stop_possible())
    on_parent_stop_.emplace(parent_stop_, StopChildren{this, &parent_reason});
}

Nursery::Nursery(Executor& executor) noexcept
    : context_{stop_.token(), kNever, nullptr}, executor_(executor) {}

Nursery::~Nursery() {
  assert(running_.load(std::memory_order_acquire) == 1 &&
         "a nursery must be joined before it goes");
}

Code Nursery::parent_reason(const Nursery& nursery) noexcept {
  return nursery.parent_stop_.reason();
}

void Nursery::spawn(Task<void> task, Executor& executor) noexcept {
  assert(task.valid());
  running_.fetch_add(1, std::memory_order_relaxed);
  detail::PromiseBase& promise = task.release().promise();
  promise.root = this;
  promise.context = &context_;
  promise.executor = &executor;
  executor.post(promise);
}

std::coroutine_handle<> Nursery::root_done(detail::PromiseBase& promise) noexcept {
  auto& ended = static_cast<detail::TaskPromise<void>&>(promise);
  if (ended.error() && !failed_.exchange(true, std::memory_order_acq_rel)) {
    error_ = ended.error();
    stop_.request_stop(Code::kCancelled);
  }
  Executor* executor = promise.executor;
  promise.handle().destroy();
  if (running_.fetch_sub(1, std::memory_order_acq_rel) != 1) return std::noop_coroutine();
  // The last one out; the joiner has suspended.
  detail::PromiseBase* joiner = joiner_;
  if (joiner->executor == executor) return joiner->transfer();
  joiner->resume_later();
  return std::noop_coroutine();
}

void Nursery::JoinAwaiter::await_resume() {
  nursery_.running_.store(1, std::memory_order_relaxed);
  if (!nursery_.failed_.load(std::memory_order_acquire)) return;
  nursery_.failed_.store(false, std::memory_order_relaxed);
  std::rethrow_exception(std::exchange(nursery_.error_, nullptr));
}

}  // namespace baozi
