// PrefixSaver: keeps what several requests began with on disk, and tells the scheduler at the start
// what there is. Between the scheduler's steps; files are written on a thread of its own.
//
// Thread safety: one thread's, the one that owns context and scheduler.
#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <vector>

#include "baozi/coro/executor.h"
#include "baozi/coro/lane.h"
#include "baozi/engine/language.h"
#include "baozi/llm/kv_memory.h"
#include "baozi/llm/prefix_store.h"
#include "baozi/llm/scheduler.h"

namespace baozi::llm {

class PrefixSaver {
 public:
  // Both outlive it.
  PrefixSaver(PrefixStore store, KvMemory& memory, Scheduler& scheduler);
  ~PrefixSaver();
  PrefixSaver(const PrefixSaver&) = delete;
  PrefixSaver& operator=(const PrefixSaver&) = delete;

  // What was saved counts as offloaded, the one used last first. Before the scheduler's first plan.
  void restore();
  // After the plan's steps: saves what one request has shared with another.
  void after(const Plan& plan);
  // What was offloaded is not there any more; it is saved again when it is shared again.
  void lost() { known_.clear(); }

 private:
  struct Writing final : Work {
    PrefixSaver* saver = nullptr;
    std::vector<engine::Token> tokens;
    std::vector<std::byte> bytes;
  };

  bool known(std::span<const engine::Token> tokens) const;
  void write() noexcept;

  const PrefixStore store_;
  KvMemory& memory_;
  Scheduler& scheduler_;
  std::vector<std::vector<engine::Token>> known_;  // on disk, or tried
  Writing writing_;
  std::atomic<bool> busy_{false};  // with writing_
  bool told_ = false;              // that the disk refused; the writer's
  Lane lane_;
};

}  // namespace baozi::llm
