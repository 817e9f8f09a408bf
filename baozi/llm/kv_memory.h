// KvMemory: carries a scheduler's plans out in a context, and keeps what is offloaded: bytes in
// this process's memory, or a file that an earlier one left and that is read when it is wanted.
//
// Thread safety: one thread's, the one that owns the context.
#pragma once

#include <cstddef>
#include <span>
#include <variant>
#include <vector>

#include "baozi/engine/language.h"
#include "baozi/llm/prefix_store.h"
#include "baozi/llm/scheduler.h"

namespace baozi::llm {

class KvMemory {
 public:
  // Outlives it. `sequences`: ids the scheduler uses.
  KvMemory(engine::LanguageContext& context, int sequences);

  // Errors: those of LanguageContext::restore and PrefixStore, kUnavailable (a file is gone or
  // damaged). Then the memory is empty, and nothing is offloaded.
  void carry_out(std::span<const Plan::Memory> memory);

  // The run lies in a file. `store` outlives it.
  void offloaded(int run, const PrefixStore& store, PrefixStore::Branch branch);
  // The first `length` positions of a sequence.
  std::vector<std::byte> copy(int sequence, int length);

 private:
  struct InFile {
    const PrefixStore* store = nullptr;
    PrefixStore::Branch branch;
  };
  using Run = std::variant<std::monostate, std::vector<std::byte>, InFile>;

  Run& run(int number);
  void carry_out(const Plan::Memory& memory);
  void reload(const Plan::Memory& memory);
  void clear();

  engine::LanguageContext& context_;
  const int sequences_;
  std::vector<Run> runs_;  // by number
};

}  // namespace baozi::llm
