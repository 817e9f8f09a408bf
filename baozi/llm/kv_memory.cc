#include "baozi/llm/kv_memory.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "baozi/base/error.h"

namespace baozi::llm {

KvMemory::KvMemory(engine::LanguageContext& context, int sequences)
    : context_(context), sequences_(sequences) {}

void KvMemory::carry_out(std::span<const Plan::Memory> memory) {
  try {
    for (const Plan::Memory& each : memory) carry_out(each);
  } catch (...) {
    clear();
    throw;
  }
}

void KvMemory::offloaded(int number, const PrefixStore& store, PrefixStore::Branch branch) {
  run(number) = InFile{&store, std::move(branch)};
}

std::vector<std::byte> KvMemory::copy(int sequence, int length) {
  return context_.save(sequence, 0, length);
}

KvMemory::Run& KvMemory::run(int number) {
  const auto at = static_cast<std::size_t>(number);
  if (runs_.size() <= at) runs_.resize(at + 1);
  return runs_[at];
}

void KvMemory::carry_out(const Plan::Memory& memory) {
  switch (memory.what) {
    case Plan::Memory::Do::kShare:
      return context_.share(memory.other, memory.sequence, memory.begin, memory.end);
    case Plan::Memory::Do::kForget:
      return context_.forget(memory.sequence, memory.begin, memory.end);
    case Plan::Memory::Do::kOffload:
      run(memory.other) = context_.save(memory.sequence, memory.begin, memory.end);
      return;
    case Plan::Memory::Do::kReload:
      return reload(memory);
    case Plan::Memory::Do::kDrop:
      run(memory.other) = std::monostate();
      return;
  }
}

void KvMemory::reload(const Plan::Memory& memory) {
  const Run& from = run(memory.other);
  if (const auto* bytes = std::get_if<std::vector<std::byte>>(&from))
    return context_.restore(memory.sequence, memory.begin, memory.end, *bytes);
  const InFile& file = std::get<InFile>(from);
  const std::optional<PrefixStore::Bytes> bytes = file.store->read(file.branch);
  if (!bytes) {
    throw Error(Code::kUnavailable,
                fmt::format("{} is gone, or was damaged and removed", file.branch.file.string()));
  }
  try {
    context_.restore(memory.sequence, memory.begin, memory.end, bytes->view());
  } catch (const Error&) {
    file.store->remove(file.branch);
    throw;
  }
}

void KvMemory::clear() {
  for (int sequence = 0; sequence < sequences_; ++sequence) context_.forget(sequence, 0, -1);
  runs_.clear();
}

}  // namespace baozi::llm
