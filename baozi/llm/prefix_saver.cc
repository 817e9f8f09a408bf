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

PrefixSaver::PrefixSaver(PrefixStore store, engine::LanguageContext& context, Scheduler& scheduler)
    : store_(std::move(store)), context_(context), scheduler_(scheduler), lane_("prefixes") {
  writing_.saver = this;
  writing_.run = [](Work* work) noexcept { static_cast<Writing*>(work)->saver->write(); };
}

PrefixSaver::~PrefixSaver() = default;

void PrefixSaver::restore() {
  const int cells_max = context_.capacity() / 2;
  for (PrefixStore::Branch& branch : store_.branches()) {
    if (known_.size() >= kBranchesMax) return;
    const auto size = static_cast<int>(branch.tokens.size());
    const bool there = scheduler_.tree().match(branch.tokens).length == size;
    if (there || scheduler_.tree().cells() + size > cells_max) continue;
    const auto bytes = store_.read(branch);
    if (!bytes) {
      log().warn("{} is damaged and was removed", branch.file.string());
      continue;
    }
    const int sequence = scheduler_.reserve_sequence();
    if (sequence < 0) return;
    try {
      context_.restore(sequence, bytes->view());
      scheduler_.restored(sequence, branch.tokens);
      known_.push_back(std::move(branch.tokens));
    } catch (const Error& error) {
      scheduler_.not_restored(sequence);
      store_.remove(branch);
      log().warn("{} is not used: {}", branch.file.string(), error.message());
    }
  }
}

void PrefixSaver::after(const Plan& plan) {
  for (const Plan::Memory& each : plan.memory) {
    if (each.from < 0 || each.length < kWorthSaving) continue;
    if (busy_.load(std::memory_order_acquire) || known_.size() >= kBranchesMax) return;
    std::vector<Token> tokens = scheduler_.tree().tokens(each.sequence);
    if (static_cast<int>(tokens.size()) < each.length) continue;  // it was put back since
    tokens.resize(static_cast<std::size_t>(each.length));
    if (known(tokens)) continue;
    const int copy = scheduler_.reserve_sequence();
    if (copy < 0) return;
    context_.share(each.sequence, copy, 0, each.length);
    writing_.bytes = context_.save(copy);
    context_.forget(copy, 0, -1);
    scheduler_.not_restored(copy);
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
