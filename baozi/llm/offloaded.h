// Offloaded: which tokens' keys and values lie outside of the KV memory. What nobody uses costs
// every step there, because attention steps over it; outside it costs a copy when it is wanted
// again.
//
//   const int begin = offloaded.reach(tokens, 0);            // is there already
//   int run = offloaded.put(tokens, begin, dropped);         // save [begin, tokens.size())
//   Offloaded::Found found = offloaded.find(prompt, known);  // restore [known, found.end)
//
// A run is a part [begin, end) of a text's tokens, good only behind the very same tokens before it.
// Runs of one text follow each other, so texts that begin alike share. Beyond `tokens_max`, what
// was used longest ago goes, its ends first.
//
// Thread safety: none. It holds no bytes: who calls it keeps them, by the run's number.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "baozi/engine/language.h"

namespace baozi::llm {

class Offloaded {
 public:
  explicit Offloaded(int tokens_max) : tokens_max_(tokens_max) {}

  // How far the tokens from position `from` on are here without a gap: `from`, when none are.
  int reach(std::span<const engine::Token> tokens, int from) const;

  // The run that continues a text behind position `from`, and how far it does.
  struct Found {
    int run = -1;      // -1: none
    int end = 0;       // of what it has in common with the text
    bool all = false;  // that is all it has
    int size = 0;      // tokens of the run
  };
  Found find(std::span<const engine::Token> tokens, int from) const;
  // The runs along the tokens, from position `from` on, were used now.
  void touch(std::span<const engine::Token> tokens, int from);

  // Takes up the positions [begin, tokens.size()): the number of the run, or -1 when it is more
  // than there may be. `dropped` receives the numbers of what had to go for it.
  int put(std::span<const engine::Token> tokens, int begin, std::vector<int>& dropped);
  // A run of all the tokens that takes no room here, and is never dropped; its number.
  int put_free(std::span<const engine::Token> tokens);

  int tokens() const noexcept { return tokens_; }  // that take room here

 private:
  struct Run {
    std::vector<engine::Token> text;  // from position 0; empty: the number is free
    int begin = 0;
    std::uint64_t used = 0;
    bool free = false;  // of charge
    int size() const noexcept { return static_cast<int>(text.size()) - begin; }
  };

  int add(Run run);
  int drop_oldest();

  int tokens_max_;
  int tokens_ = 0;
  std::uint64_t uses_ = 0;
  std::vector<Run> runs_;  // by number
};

}  // namespace baozi::llm
