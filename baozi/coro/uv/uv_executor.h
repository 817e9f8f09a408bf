// UvExecutor: an executor on a libuv loop, for programs that already have one. Coroutines on it
// await libuv (uv_await.h).
//
//   uv_loop_t loop;
//   uv_loop_init(&loop);
//   UvExecutor executor(loop);
//   … spawn tasks on it …
//   uv_run(&loop, UV_RUN_DEFAULT);  // until release() was called
//
// Thread safety: post from any thread, until release; all else on the loop's thread.
#pragma once

#include <uv.h>

#include <string>

#include "baozi/coro/executor.h"
#include "baozi/coro/inbox.h"
#include "baozi/coro/post_gate.h"

namespace baozi {

class UvExecutor final : public Executor {
 public:
  // Throws Error kInternal when libuv refuses. `loop` outlives the executor.
  explicit UvExecutor(uv_loop_t& loop, std::string name = "uv");
  // After release(), when uv_run has come back.
  ~UvExecutor() override;

  void post(Work& work) noexcept override;
  bool has_waiting() const noexcept override;
  const char* name() const noexcept override { return name_.c_str(); }
  uv_loop_t& loop() noexcept { return loop_; }

  // Lets go of the loop: from work, or before or between calls of uv_run. Nothing is posted
  // afterwards.
  void release() noexcept;

  // The executor whose loop this thread is in, or null.
  static UvExecutor* current() noexcept;

 private:
  static constexpr unsigned kYieldsWithoutPoll = 16;
  void drain() noexcept;

  const std::string name_;
  uv_loop_t& loop_;
  uv_async_t async_{};
  PostGate gate_;
  Inbox inbox_;
  Work* pending_ = nullptr;  // taken from the inbox, oldest first; the loop thread's
  mutable unsigned yields_ = 0;
  bool released_ = false;
};

// What libuv's negative error numbers mean in baozi's codes.
[[noreturn]] void throw_uv_error(int status, const std::string& what);

}  // namespace baozi
