// Lane: an executor of one thread, for a device, a model instance or anything that must see one
// caller at a time.
//
// Thread safety: as ThreadPool.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "baozi/coro/burst.h"
#include "baozi/coro/executor.h"
#include "baozi/coro/inbox.h"
#include "baozi/coro/parker.h"
#include "baozi/coro/post_gate.h"

namespace baozi {

// The loop of one thread over an inbox, for Lane and sync_wait.
class WorkLoop : public Executor, private Burst::Deferred {
 public:
  explicit WorkLoop(std::string name) : name_(std::move(name)) {}
  ~WorkLoop() override {
    Burst::end_current();
    gate_.wait_until_empty();
  }

  void post(Work& work) noexcept override {
    gate_.enter();
    inbox_.push(work);
    if (sleeping_.load(std::memory_order_seq_cst) &&
        sleeping_.exchange(false, std::memory_order_seq_cst)) {
      Burst::defer(*this);  // leaves the gate when it is done
    } else {
      gate_.leave();
    }
  }
  bool has_waiting() const noexcept override {
    return pending_ != nullptr || !inbox_.looks_empty();
  }
  const char* name() const noexcept override { return name_.c_str(); }

  // Runs work until stop() was called and nothing is left. On one thread.
  void run() noexcept;
  // From any thread, also from work.
  void stop() noexcept;

 private:
  void burst_ended() noexcept override {
    parker_.wake();
    gate_.leave();
  }

  const std::string name_;
  PostGate gate_;
  Inbox inbox_;
  Work* pending_ = nullptr;  // taken from the inbox, oldest first; the running thread's
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> stopping_{false};
  Parker parker_;
};

class Lane final : public WorkLoop {
 public:
  explicit Lane(std::string name);
  ~Lane() override;

 private:
  std::thread thread_;
};

}  // namespace baozi
