// PrefixTree: which tokens lie in a model's KV memory, and which sequences hold them. Sequences
// with a common beginning share its cells; a sequence whose request has ended is kept for the next
// one that begins the same, until its cells are wanted.
//
//   PrefixTree::Match known = tree.match(prompt);
//   PrefixTree::Opened opened = tree.open(known);      // context.share(known.sequence, opened.…)
//   tree.extend(opened.sequence, computed, 0);
//   if (!tree.close(opened.sequence)) …                // context.forget(opened.sequence, 0, -1)
//
// A node is a run of tokens; every sequence's tokens are the path from the root to its node. Each
// leaf has a sequence, so every cell is held by one in its node or below.
//
// Thread safety: none. It knows no context: who calls it carries out in the memory what it says.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "baozi/engine/language.h"

namespace baozi::llm {

class PrefixTree {
 public:
  // Sequences have the ids [0, sequences).
  explicit PrefixTree(int sequences);
  ~PrefixTree();
  PrefixTree(const PrefixTree&) = delete;
  PrefixTree& operator=(const PrefixTree&) = delete;

  // The longest beginning of some tokens that is in the memory.
  struct Match {
    int length = 0;     // tokens
    int sequence = -1;  // one that holds them; -1: none, the length is 0
    int idle = 0;       // of them, cells that no open sequence holds
  };
  Match match(std::span<const engine::Token> tokens) const;

  // Opens a sequence that begins with `match`, which must be the tree's latest state. Nothing when
  // every sequence is taken: evict() first. `copied`: the match is to be shared with it; otherwise
  // it holds those tokens already.
  struct Opened {
    int sequence = -1;
    bool copied = false;
  };
  std::optional<Opened> open(const Match& match);

  // The next tokens of an open sequence are in the memory. `reserve`: how many more may follow.
  void extend(int sequence, std::span<const engine::Token> tokens, std::size_t reserve);

  // Ends an open sequence. True: it is kept. False: others hold all it had, it is free again and to
  // be forgotten.
  bool close(int sequence);

  // Ends an open sequence of which nothing is to be kept but what others hold: it is free again and
  // to be forgotten.
  void discard(int sequence);

  // Gives up `wanted` cells or fewer, the last ones of the kept sequence that was used longest ago:
  // its positions from `from` on. The memory forgets those from `begin` on; with 0, the sequence is
  // free again and others hold what is left of it. Nothing when no sequence is kept.
  struct Evicted {
    int sequence = -1;
    int begin = 0;
    int from = 0;
    std::vector<engine::Token> tokens;  // all that the sequence had
  };
  std::optional<Evicted> evict(int wanted);

  int cells() const noexcept { return cells_; }            // in the memory
  int cells_open() const noexcept { return cells_open_; }  // of them, held by open sequences
  int length(int sequence) const noexcept;
  std::vector<engine::Token> tokens(int sequence) const;

  // Whether all holds that must hold between two calls. Slow; for tests.
  bool consistent() const;

 private:
  struct Node;
  struct Place {
    Node* node = nullptr;  // null: the sequence is free
    bool open = false;
  };

  Node* split(Node& node, int length);
  void count_open(Node* node, int change);
  void move_to(int sequence, Node* node);
  void leave(int sequence);
  void prune(Node* node);
  void merge(Node& node);
  Place& place(int sequence) { return places_[static_cast<std::size_t>(sequence)]; }
  const Place& place(int sequence) const { return places_[static_cast<std::size_t>(sequence)]; }

  std::unique_ptr<Node> root_;
  std::vector<Place> places_;  // by sequence
  std::vector<int> free_;      // the next one to open at the end
  int cells_ = 0;
  int cells_open_ = 0;
  std::uint64_t uses_ = 0;
};

}  // namespace baozi::llm
