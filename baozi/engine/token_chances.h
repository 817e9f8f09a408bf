// TokenChances: log-probabilities of tokens from the logits of a step.
//
//   TokenChances chances;
//   Chances now = chances.of(context.logits(0), token, 5);   // now.logprob, now.top
//
// Thread safety: by one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace baozi::engine {

struct TokenChance {
  std::int32_t token = 0;
  float logprob = 0;  // natural logarithm of the probability
};

struct Chances {
  float logprob = 0;                      // of the token that was picked
  std::span<const TokenChance> top = {};  // the most likely, best first; equal ones by number
};

class TokenChances {
 public:
  // Softmax over all `logits`; nothing is allocated but for a larger `top` than before. The result
  // is good until the next call. Errors: kInvalidArgument (`picked` is no index of `logits`).
  Chances of(std::span<const float> logits, std::int32_t picked, int top);

 private:
  std::vector<TokenChance> top_;
};

}  // namespace baozi::engine
