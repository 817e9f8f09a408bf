// Executor: where coroutines run. Work: the intrusive node by which they are queued, so that
// scheduling allocates nothing.
//
// Thread safety: post may be called from any thread. A Work is queued at most once at a time and
// stays valid until its run function is called; after that call it may be gone.
#pragma once

#include <cstdint>

namespace baozi {

struct Work {
  using Run = void (*)(Work*) noexcept;
  Work* next = nullptr;
  Run run = nullptr;
};

class Executor {
 public:
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  virtual ~Executor() = default;

  // Queues `work` to be run soon, in order of arrival as far as one thread is concerned. Never runs
  // it inside the call.
  virtual void post(Work& work) noexcept = 0;
  // As post, from a thread of this executor that will at once return to the executor's loop: wakes
  // nobody.
  virtual void post_yield(Work& work) noexcept { post(work); }
  // Whether anything else waits for this thread; a yield that finds nothing goes on without a round
  // through the queue. Asked only on a thread of this executor.
  virtual bool has_waiting() const noexcept { return true; }
  // For messages, traces and thread names.
  virtual const char* name() const noexcept = 0;

 protected:
  Executor() = default;
};

}  // namespace baozi
