// LoopOperation: the base of awaiters for operations of a foreign event loop (Asio, libuv). The
// operation is started, completes and is cancelled on the loop's thread, on which the awaiting
// coroutine runs, too; a stop request from another thread posts the cancellation there.
//
//   kIdle ──▶ kPending ──▶ kDone                          it completed
//                └──────▶ kStopPosted ──▶ kCancelling   a stop claimed it
//
// Thread safety: the stop callback may run on any thread; all else on the loop's.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <optional>

#include "baozi/coro/stop.h"
#include "baozi/coro/task.h"

namespace baozi::detail {

class LoopOperation : private Work {
 public:
  LoopOperation(const LoopOperation&) = delete;
  LoopOperation& operator=(const LoopOperation&) = delete;

  void attach(PromiseBase& promise) noexcept { promise_ = &promise; }

 protected:
  LoopOperation() noexcept { run = &LoopOperation::run_cancel; }
  ~LoopOperation() = default;

  const PromiseBase& promise() const noexcept { return *promise_; }
  bool stop_possible() const noexcept { return promise_->context->stop.stop_possible(); }

  // await_ready: whether not to start at all, because of a stop or because this thread is not the
  // loop's.
  bool refused(bool on_loop_thread) noexcept;

  // await_suspend: `start` begins the operation, after which complete() will be called once; false
  // when it already was.
  template <class Start>
  bool start_with(Start start) noexcept {
    begin();
    try {
      start();
    } catch (...) {
      error_ = std::current_exception();
      state_.store(State::kDone, std::memory_order_relaxed);
      completed_ = true;
    }
    starting_ = false;
    return !completed_;
  }

  // The operation has ended: resumes the coroutine, inside the call when that is possible.
  void complete() noexcept;

  // await_resume: throws what kept the operation from starting.
  void finish();
  // After finish: whether a stop asked the operation to end early.
  bool was_cancelled() const noexcept {
    return state_.load(std::memory_order_relaxed) == State::kCancelling;
  }
  [[noreturn]] void throw_stopped() const { throw stopped_error(promise_->context->stop.reason()); }

  // Makes the operation end soon; it still completes, and may do so inside the call.
  virtual void cancel() noexcept = 0;

 private:
  enum class State : std::uint8_t { kIdle, kPending, kDone, kStopPosted, kCancelling };
  struct OnStop {
    LoopOperation* operation;
    void operator()() noexcept { operation->post_cancel(); }
  };

  void begin() noexcept;
  void post_cancel() noexcept;
  static void run_cancel(Work* work) noexcept;

  PromiseBase* promise_ = nullptr;
  std::optional<StopCallback<OnStop>> on_stop_;
  std::exception_ptr error_;
  std::atomic<State> state_{State::kIdle};
  bool wrong_thread_ = false;
  bool starting_ = false;  // start_with or cancel is on the stack
  bool completed_ = false;
};

}  // namespace baozi::detail
