// PromiseBase: the part of a coroutine's promise that does not depend on what it returns: where it
// runs, under which Context, who awaits it, and what it awaits now. Read by tools/gdb/baozi.py.
//
// Thread safety: touched only by the thread that runs the coroutine, or resumes it.
#pragma once

#include <coroutine>
#include <source_location>

#include "baozi/coro/context.h"
#include "baozi/coro/executor.h"

namespace baozi::detail {

// Without optimisation, and under sanitizers, compilers do not turn symmetric transfer into tail
// calls; then every kInlineDepthMax-th transfer goes through the executor, so that the stack stays
// bounded.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
inline constexpr bool kTailCalls = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kTailCalls = false;
#else
inline constexpr bool kTailCalls = true;
#endif
#else
inline constexpr bool kTailCalls = true;
#endif
inline constexpr unsigned kInlineDepthMax = 64;
inline thread_local unsigned inline_depth = 0;

class PromiseBase;

// Told when a root task (one that nobody awaits) has ended; must destroy or keep the frame. Returns
// what runs next.
class RootOwner {
 public:
  virtual std::coroutine_handle<> root_done(PromiseBase& promise) noexcept = 0;

 protected:
  ~RootOwner() = default;
};

// The part of a promise that does not depend on T. As a Work it queues its own coroutine's
// resumption: a coroutine waits in one place at a time, so one node is enough. Read by
// tools/gdb/baozi.py.
class PromiseBase : public Work {
 public:
  PromiseBase() noexcept { run = &PromiseBase::resume_work; }

  std::coroutine_handle<> handle() noexcept {
    return std::coroutine_handle<PromiseBase>::from_promise(*this);
  }

  // Resumes on the coroutine's own executor. The coroutine may be running again, or gone, before
  // this returns.
  void resume_later() noexcept { executor->post(*this); }

  // What a finished coroutine does: go on with its parent, on the parent's executor.
  std::coroutine_handle<> finish() noexcept {
    if (parent == nullptr) return root->root_done(*this);
    PromiseBase* to = parent;
    to->child = nullptr;
    if (to->executor == executor) return to->transfer();
    to->executor->post(*to);
    return std::noop_coroutine();
  }

  // Symmetric transfer to this coroutine, or a detour through its executor when the stack would
  // grow.
  std::coroutine_handle<> transfer() noexcept {
    if constexpr (!kTailCalls) {
      if (++inline_depth >= kInlineDepthMax) {
        executor->post_yield(*this);
        return std::noop_coroutine();
      }
    }
    return handle();
  }

  Executor* executor = nullptr;  // where this coroutine runs and resumes
  const Context* context = nullptr;
  PromiseBase* parent = nullptr;  // who awaits it; null for a root
  PromiseBase* child = nullptr;   // the task it awaits now, for debuggers
  RootOwner* root = nullptr;      // roots only
  std::source_location site;      // the await it is in; empty line while it runs

 private:
  static void resume_work(Work* work) noexcept {
    if constexpr (!kTailCalls) inline_depth = 0;
    static_cast<PromiseBase*>(work)->handle().resume();
  }
};

}  // namespace baozi::detail
