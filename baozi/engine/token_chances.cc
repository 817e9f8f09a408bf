#include "baozi/engine/token_chances.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "baozi/base/error.h"

namespace baozi::engine {
namespace {

// Logits until then.
bool better(const TokenChance& a, const TokenChance& b) noexcept {
  return a.logprob > b.logprob || (a.logprob == b.logprob && a.token < b.token);
}

}  // namespace

Chances TokenChances::of(std::span<const float> logits, std::int32_t picked, int top) {
  if (picked < 0 || static_cast<std::size_t>(picked) >= logits.size())
    throw Error(Code::kInvalidArgument, fmt::format("there is no token {}", picked));
  const std::size_t wanted = std::min(static_cast<std::size_t>(std::max(top, 0)), logits.size());
  top_.clear();
  top_.reserve(wanted + 1);
  const float largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    sum += std::exp(logits[i] - largest);
    const TokenChance chance{static_cast<std::int32_t>(i), logits[i]};
    if (wanted == 0 || (top_.size() == wanted && !better(chance, top_.back()))) continue;
    top_.insert(std::ranges::upper_bound(top_, chance, better), chance);
    if (top_.size() > wanted) top_.pop_back();
  }
  const float all = largest + static_cast<float>(std::log(sum));
  for (TokenChance& chance : top_) chance.logprob -= all;
  return {logits[static_cast<std::size_t>(picked)] - all, top_};
}

}  // namespace baozi::engine
