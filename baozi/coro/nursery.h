// Nursery: the only way to run something concurrently. What is spawned in it ends before join()
// returns; the first error stops the siblings and is rethrown by join(). Nothing is ever detached.
//
//   const Context& context = co_await this_context();
//   Executor& here = co_await this_executor();
//   Nursery nursery(context, here);
//   nursery.spawn(fetch(a));
//   nursery.spawn(fetch(b));
//   co_await nursery.join();
//
// The destructor asserts that the nursery was joined, so nothing may throw between the first spawn
// and join(). What may throw belongs into a child: spawn one that gets a pointer to the nursery and
// spawns the others.
//
// Thread safety: spawn and stop from any thread while not yet joined; join from one task. May be
// used again after join.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <optional>

#include "baozi/coro/task.h"

namespace baozi {

class Nursery final : private detail::RootOwner {
 public:
  // Children inherit `parent` (its stop, deadline and trace) and run on `executor`; both outlive
  // the nursery.
  Nursery(const Context& parent, Executor& executor) noexcept;
  // A root: stops only when told to.
  explicit Nursery(Executor& executor) noexcept;
  ~Nursery();
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;

  // Starts `task` soon, on the nursery's executor or the given one.
  void spawn(Task<void> task) noexcept { spawn(std::move(task), executor_); }
  void spawn(Task<void> task, Executor& executor) noexcept;

  // Asks all children, present and future, to stop. The first reason stays.
  void stop(Code reason = Code::kCancelled) noexcept { stop_.request_stop(reason); }

  // What the children inherit.
  const Context& context() const noexcept { return context_; }
  std::size_t running() const noexcept { return running_.load(std::memory_order_acquire) - 1; }

  class JoinAwaiter {
   public:
    explicit JoinAwaiter(Nursery& nursery) noexcept : nursery_(nursery) {}
    bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> handle) noexcept {
      nursery_.joiner_ = &handle.promise();
      return nursery_.running_.fetch_sub(1, std::memory_order_acq_rel) != 1;
    }
    void await_resume();

   private:
    Nursery& nursery_;
  };

  // Waits for all children, then rethrows the first error, if any.
  JoinAwaiter join() noexcept { return JoinAwaiter(*this); }

 private:
  struct StopChildren {
    Nursery* nursery;
    Code (*reason)(const Nursery&) noexcept;
    void operator()() noexcept { nursery->stop(reason(*nursery)); }
  };

  std::coroutine_handle<> root_done(detail::PromiseBase& promise) noexcept override;
  static Code parent_reason(const Nursery& nursery) noexcept;

  StopSource stop_;
  const StopToken parent_stop_;
  Context context_;
  Executor& executor_;
  std::optional<StopCallback<StopChildren>> on_parent_stop_;
  std::atomic<std::size_t> running_{1};  // the children and the joiner
  detail::PromiseBase* joiner_ = nullptr;
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;  // written once by whoever set failed_
};

}  // namespace baozi
