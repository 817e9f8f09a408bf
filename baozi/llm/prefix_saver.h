// PrefixSaver: keeps what several requests began with on disk, and puts it back into the memory at
// the start. Between the scheduler's steps; files are written on a thread of its own.
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
#include "baozi/llm/prefix_store.h"
#include "baozi/llm/scheduler.h"

namespace baozi::llm {

class PrefixSaver {
 public:
  // Both outlive it.
  PrefixSaver(PrefixStore store, engine::LanguageContext& context, Scheduler& scheduler);
  ~PrefixSaver();
  PrefixSaver(const PrefixSaver&) = delete;
  PrefixSaver& operator=(const PrefixSaver&) = delete;

  // Fills up to half of the memory with what was saved, the one used last first.
  void restore();
  // After the plan's steps: saves what one request has shared with another.
  void after(const Plan& plan);

 private:
  struct Writing final : Work {
    PrefixSaver* saver = nullptr;
    std::vector<engine::Token> tokens;
    std::vector<std::byte> bytes;
  };

  bool known(std::span<const engine::Token> tokens) const;
  void write() noexcept;

  const PrefixStore store_;
  engine::LanguageContext& context_;
  Scheduler& scheduler_;
  std::vector<std::vector<engine::Token>> known_;  // on disk, or tried
  Writing writing_;
  std::atomic<bool> busy_{false};  // with writing_
  bool told_ = false;              // that the disk refused; the writer's
  Lane lane_;
};

}  // namespace baozi::llm
