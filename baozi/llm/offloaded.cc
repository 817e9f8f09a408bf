#include "baozi/llm/offloaded.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace baozi::llm {

using engine::Token;

namespace {

int common(std::span<const Token> a, std::span<const Token> b) {
  return static_cast<int>(std::ranges::mismatch(a, b).in1 - a.begin());
}

}  // namespace

int Offloaded::reach(std::span<const Token> tokens, int from) const {
  for (Found found = find(tokens, from); found.run >= 0; found = find(tokens, from))
    from = found.end;
  return from;
}

Offloaded::Found Offloaded::find(std::span<const Token> tokens, int from) const {
  Found best{.end = from};
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    const Run& run = runs_[i];
    if (run.text.empty() || run.begin > from) continue;
    const int end = common(run.text, tokens);
    if (end <= best.end) continue;
    const bool all = end == static_cast<int>(run.text.size());
    best = {static_cast<int>(i), end, all, run.size()};
  }
  return best;
}

// All of them the same moment, so that the ends of a text go before its beginning.
void Offloaded::touch(std::span<const Token> tokens, int from) {
  ++uses_;
  for (Found found = find(tokens, from); found.run >= 0; found = find(tokens, from)) {
    runs_[static_cast<std::size_t>(found.run)].used = uses_;
    from = found.end;
  }
}

int Offloaded::put(std::span<const Token> tokens, int begin, std::vector<int>& dropped) {
  const int size = static_cast<int>(tokens.size()) - begin;
  if (size > tokens_max_) return -1;
  while (tokens_ + size > tokens_max_) dropped.push_back(drop_oldest());
  tokens_ += size;
  return add({{tokens.begin(), tokens.end()}, begin, ++uses_, false});
}

int Offloaded::put_free(std::span<const Token> tokens) {
  return add({{tokens.begin(), tokens.end()}, 0, 0, true});
}

int Offloaded::add(Run run) {
  const auto free = std::ranges::find_if(runs_, [](const Run& each) { return each.text.empty(); });
  const auto number = static_cast<int>(free - runs_.begin());
  if (free == runs_.end()) {
    runs_.push_back(std::move(run));
  } else {
    *free = std::move(run);
  }
  return number;
}

int Offloaded::drop_oldest() {
  const auto order = [](const Run& run) {
    return std::tuple(run.text.empty() || run.free, run.used, -run.begin);
  };
  const auto oldest = std::ranges::min_element(runs_, {}, order);
  tokens_ -= oldest->size();
  *oldest = {};
  return static_cast<int>(oldest - runs_.begin());
}

}  // namespace baozi::llm
