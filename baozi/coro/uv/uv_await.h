// Awaiting libuv, from a task on a UvExecutor: timers, work on libuv's threads, files.
//
//   co_await uv_sleep_for(std::chrono::milliseconds(5));
//   co_await uv_work([&] { checksum = crc(bytes); });  // on libuv's threads
//   std::string text = co_await uv_read_file(path);
//
// A stop request ends the timer at once and takes back work that has not begun (work that has runs
// to its end); then the await throws Error{reason}. Awaited elsewhere than on a UvExecutor they
// throw kFailedPrecondition.
#pragma once

#include <uv.h>

#include <chrono>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>

#include "baozi/base/clock.h"
#include "baozi/coro/loop_operation.h"
#include "baozi/coro/uv/uv_executor.h"

namespace baozi {
namespace detail {

class UvOperation : public LoopOperation {
 public:
  bool await_ready() noexcept {
    executor_ = UvExecutor::current();
    return refused(executor_ != nullptr && promise().executor == executor_);
  }

 protected:
  uv_loop_t* loop() noexcept { return &executor_->loop(); }

 private:
  UvExecutor* executor_ = nullptr;
};

class UvTimer final : public UvOperation {
 public:
  explicit UvTimer(Duration span) noexcept : span_(span) {}
  bool await_suspend(std::coroutine_handle<>) noexcept;
  void await_resume();

 private:
  void cancel() noexcept override { close(); }
  void close() noexcept;

  Duration span_;
  uv_timer_t timer_{};
};

// A request of libuv's thread pool: runs `work` there.
class UvRequest : public UvOperation {
 public:
  bool await_suspend(std::coroutine_handle<>) noexcept;

 protected:
  // On a thread of libuv's.
  virtual void work() noexcept = 0;
  // Throws when the work was taken back.
  void finish_request();

 private:
  void cancel() noexcept override { uv_cancel(reinterpret_cast<uv_req_t*>(&request_)); }

  uv_work_t request_{};
  int status_ = 0;
};

template <class F>
class UvWork final : public UvRequest {
 public:
  explicit UvWork(F function) : function_(std::move(function)) {}
  void await_resume() {
    finish_request();
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
  }

 private:
  void work() noexcept override {
    try {
      function_();
    } catch (...) {
      thrown_ = std::current_exception();
    }
  }

  F function_;
  std::exception_ptr thrown_;
};

// One asynchronous call of uv_fs_*; gives its result (a descriptor, a length).
class UvFile final : public UvOperation {
 public:
  using Call = int (*)(uv_loop_t* loop, uv_fs_t* request, UvFile& self, uv_fs_cb done);
  struct Arguments {
    const char* path = nullptr;
    uv_file file = -1;
    uv_buf_t buffer{};
    std::int64_t offset = 0;
  };

  UvFile(Call call, const Arguments& given) noexcept : arguments(given), call_(call) {}
  bool await_suspend(std::coroutine_handle<>) noexcept;
  // Negative numbers are libuv's errors.
  std::int64_t await_resume();

  const Arguments arguments;

 private:
  void cancel() noexcept override { uv_cancel(reinterpret_cast<uv_req_t*>(&request_)); }

  Call call_;
  uv_fs_t request_{};
};

}  // namespace detail

inline detail::UvTimer uv_sleep_for(Duration span) noexcept { return detail::UvTimer(span); }

// Runs `function` on a thread of libuv's pool; what it throws is thrown by the await.
template <class F>
detail::UvWork<F> uv_work(F function) {
  return detail::UvWork<F>(std::move(function));
}

// The whole file. Throws Error kNotFound, kPermissionDenied, … naming the path.
Task<std::string> uv_read_file(std::string path);

}  // namespace baozi
