#include "baozi/llm/prefix_saver.h"

#include <algorithm>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/log.h"

namespace baozi::llm {

using engine::Token;

namespace {

// Fewer tokens are computed about as fast as they are read.
constexpr int kWorthSaving = 64;
constexpr std::size_t kBranchesMax = 64;

}  // namespace

PrefixSaver::PrefixSaver(PrefixStore store, KvMemory& memory, Scheduler& scheduler)
    : store_(std::move(store)), memory_(memory), scheduler_(scheduler), lane_("prefixes") {
  writing_.saver = this;
  writing_.run = [](Work* work) noexcept { static_cast<Writing*>(work)->saver->write(); };
}

PrefixSaver::~PrefixSaver() = default;

void PrefixSaver::restore() {
  for (PrefixStore::Branch& branch : store_.branches()) {
    if (known_.size() >= kBranchesMax) return;
    const int run = scheduler_.offloaded(branch.tokens);
    if (run < 0) continue;
    known_.push_back(branch.tokens);
    memory_.offloaded(run, store_, std::move(branch));
  }
}

void PrefixSaver::after(const Plan& plan) {
  if (plan.adapter != 0) return;  // the files' key knows nothing of them
  for (const auto [sequence, length] : plan.shared) {
    if (length < kWorthSaving) continue;
    if (busy_.load(std::memory_order_acquire) || known_.size() >= kBranchesMax) return;
    std::vector<Token> tokens = scheduler_.tree().tokens(sequence);
    if (static_cast<int>(tokens.size()) < length) continue;  // it was put back since
    tokens.resize(static_cast<std::size_t>(length));
    if (known(tokens)) continue;
    writing_.bytes = memory_.copy(sequence, length);
    known_.push_back(tokens);
    writing_.tokens = std::move(tokens);
    busy_.store(true, std::memory_order_relaxed);
    lane_.post(writing_);
  }
}

// Whether nearly all of it is there; the little that it is longer by is computed.
bool PrefixSaver::known(std::span<const Token> tokens) const {
  return std::ranges::any_of(known_, [tokens](const std::vector<Token>& each) {
    const auto common = std::ranges::mismatch(each, tokens).in1 - each.begin();
    return 10 * static_cast<std::size_t>(common) >= 9 * tokens.size();
  });
}

void PrefixSaver::write() noexcept {
  try {
    store_.write(writing_.tokens, writing_.bytes);
    log().debug("{} tokens of a common beginning are on disk", writing_.tokens.size());
  } catch (const std::exception& error) {
    if (!std::exchange(told_, true)) log().warn("common beginnings are not kept: {}", error.what());
  }
  writing_.bytes = {};
  busy_.store(false, std::memory_order_release);
}

}  // namespace baozi::llm
