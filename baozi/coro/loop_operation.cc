#include "baozi/coro/loop_operation.h"

namespace baozi::detail {

bool LoopOperation::refused(bool on_loop_thread) noexcept {
  wrong_thread_ = !on_loop_thread;
  return wrong_thread_ || promise_->context->stop.stop_requested();
}

void LoopOperation::begin() noexcept {
  starting_ = true;
  state_.store(State::kPending, std::memory_order_relaxed);
  if (stop_possible()) on_stop_.emplace(promise_->context->stop, OnStop{this});
}

void LoopOperation::post_cancel() noexcept {
  State seen = State::kPending;
  if (state_.compare_exchange_strong(seen, State::kStopPosted, std::memory_order_acq_rel))
    promise_->executor->post(*this);
}

void LoopOperation::run_cancel(Work* work) noexcept {
  auto* self = static_cast<LoopOperation*>(work);
  self->state_.store(State::kCancelling, std::memory_order_relaxed);
  if (!self->completed_) {
    self->starting_ = true;
    self->cancel();
    self->starting_ = false;
  }
  if (self->completed_) self->promise_->run(self->promise_);
}

void LoopOperation::complete() noexcept {
  State seen = State::kPending;
  state_.compare_exchange_strong(seen, State::kDone, std::memory_order_acq_rel);
  // With a cancellation on its way, run_cancel resumes: this object must outlive its stay in the
  // queue.
  if (starting_ || seen == State::kStopPosted) {
    completed_ = true;
    return;
  }
  promise_->run(promise_);
}

void LoopOperation::finish() {
  on_stop_.reset();
  if (wrong_thread_) {
    throw Error(Code::kFailedPrecondition,
                "an operation of an event loop was awaited elsewhere: co_await switch_to(the "
                "loop's executor) first");
  }
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  if (state_.load(std::memory_order_relaxed) == State::kIdle) throw_stopped();
}

}  // namespace baozi::detail
