// PromptLookup: guesses how an answer goes on from where its last tokens stood before, in the
// prompt or in the answer itself: quotations, code that is edited, tables. Costs no model. After
// "Prompt Lookup Decoding", Saxena 2023.
//
//   PromptLookup lookup(prompt, 8, window);
//   lookup.add(token);                                     // that was sampled
//   scheduler.propose(job, lookup.guess());
//   lookup.was(guessed, right);
//
// Thread safety: none. Nothing is allocated after construction while the text stays in `window`.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "baozi/engine/language.h"

namespace baozi::llm {

class PromptLookup {
 public:
  // `longest`: tokens of a guess, at least 1. `window`: tokens the text may grow to.
  PromptLookup(std::span<const engine::Token> prompt, int longest, std::size_t window);

  void add(engine::Token token);
  // What followed the last place with the same latest tokens; empty: there is none. Until add().
  std::span<const engine::Token> guess() const;
  // Of the latest guess so many tokens were computed, and so many of them right: guesses grow while
  // they are right, and shrink while they are not.
  void was(int computed, int right);

 private:
  std::size_t slot(std::size_t end) const;

  const int longest_;
  int length_;  // of the next guess
  std::vector<engine::Token> text_;
  std::vector<std::size_t> places_;  // by the hash of some tokens: where they ended last; 0: never
  std::size_t found_ = 0;            // where the latest tokens ended before; 0: nowhere
};

}  // namespace baozi::llm
