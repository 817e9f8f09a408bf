#include "baozi/llm/prefix_tree.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace baozi::llm {

using engine::Token;

struct PrefixTree::Node {
  Node* parent = nullptr;
  int begin = 0;  // position of its first token
  std::vector<Token> tokens;
  std::vector<std::unique_ptr<Node>> children;  // two may begin alike: computed side by side
  std::vector<int> holders;                     // sequences that end here
  int open = 0;                                 // open sequences that end here or below
  std::uint64_t used = 0;

  int size() const noexcept { return static_cast<int>(tokens.size()); }
  int end() const noexcept { return begin + size(); }
};

PrefixTree::PrefixTree(int sequences)
    : root_(std::make_unique<Node>()), places_(static_cast<std::size_t>(sequences)) {
  for (int i = sequences; i-- > 0;) free_.push_back(i);
}

PrefixTree::~PrefixTree() = default;

PrefixTree::Match PrefixTree::match(std::span<const Token> tokens) const {
  Match found;
  const Node* node = root_.get();
  const Node* last = nullptr;  // the node the match ends in
  for (bool whole = true; whole;) {
    const Node* best = nullptr;
    std::ptrdiff_t best_length = 0;
    for (const auto& child : node->children) {
      const auto differs = std::ranges::mismatch(child->tokens, tokens).in1;
      const std::ptrdiff_t length = differs - child->tokens.begin();
      if (length > best_length) {
        best = child.get();
        best_length = length;
      }
    }
    if (best == nullptr) break;
    last = best;
    found.length += static_cast<int>(best_length);
    if (best->open == 0) found.idle += static_cast<int>(best_length);
    tokens = tokens.subspan(static_cast<std::size_t>(best_length));
    whole = best_length == best->size();
    node = best;
  }
  if (last == nullptr) return found;
  // Whoever ends below holds it, too; who ends exactly there is preferred.
  while (last->holders.empty()) last = last->children.front().get();
  found.sequence = last->holders.front();
  return found;
}

std::optional<PrefixTree::Opened> PrefixTree::open(const Match& match) {
  Node* node = root_.get();
  if (match.length > 0) {
    node = place(match.sequence).node;
    assert(node != nullptr && node->end() >= match.length && "the match is out of date");
    const Place& from = place(match.sequence);
    if (node->end() == match.length && !from.open) {
      place(match.sequence).open = true;
      count_open(node, 1);
      return Opened{match.sequence, false};
    }
    if (free_.empty()) return std::nullopt;
    while (node->begin >= match.length) node = node->parent;
    if (node->end() != match.length) node = split(*node, match.length);
  }
  if (free_.empty()) return std::nullopt;
  const int sequence = free_.back();
  free_.pop_back();
  place(sequence).open = true;
  move_to(sequence, node);
  count_open(node, 1);
  node->used = ++uses_;
  return Opened{sequence, match.length > 0};
}

void PrefixTree::extend(int sequence, std::span<const Token> tokens, std::size_t reserve) {
  if (tokens.empty()) return;
  Node* node = place(sequence).node;
  assert(place(sequence).open);
  if (node == root_.get() || !node->children.empty() || node->holders.size() != 1) {
    auto child = std::make_unique<Node>();
    child->parent = node;
    child->begin = node->end();
    child->tokens.reserve(tokens.size() + reserve);
    child->open = 1;
    Node* const made = child.get();
    node->children.push_back(std::move(child));
    std::erase(node->holders, sequence);
    move_to(sequence, made);
    node = made;
  }
  node->tokens.insert(node->tokens.end(), tokens.begin(), tokens.end());
  cells_ += static_cast<int>(tokens.size());
  cells_open_ += static_cast<int>(tokens.size());
}

bool PrefixTree::close(int sequence) {
  Node* node = place(sequence).node;
  assert(place(sequence).open);
  place(sequence).open = false;
  count_open(node, -1);
  node->used = ++uses_;
  if (node != root_.get() && node->children.empty() && node->holders.size() == 1) {
    node->tokens.shrink_to_fit();
    return true;
  }
  leave(sequence);
  prune(node);
  return false;
}

void PrefixTree::discard(int sequence) {
  Node* node = place(sequence).node;
  assert(place(sequence).open);
  count_open(node, -1);
  leave(sequence);
  while (node != root_.get() && node->children.empty() && node->holders.empty()) {
    cells_ -= node->size();
    Node* const parent = node->parent;
    parent->used = std::max(parent->used, node->used);
    std::erase_if(parent->children, [node](const auto& child) { return child.get() == node; });
    node = parent;
  }
  prune(node);
}

std::optional<PrefixTree::Evicted> PrefixTree::evict(int wanted) {
  int oldest = -1;
  for (int i = 0; i < static_cast<int>(places_.size()); ++i) {
    const Place& each = place(i);
    if (each.node == nullptr || each.open || each.node->open > 0) continue;
    if (oldest < 0 || each.node->used < place(oldest).node->used) oldest = i;
  }
  if (oldest < 0) return std::nullopt;
  Node* const node = place(oldest).node;
  assert(node->children.empty());
  std::vector<Token> all = tokens(oldest);
  const int gone = std::clamp(wanted, 1, node->size());
  const int from = node->end() - gone;
  cells_ -= gone;
  node->tokens.resize(static_cast<std::size_t>(node->size() - gone));
  if (node->size() > 0) return Evicted{oldest, from, from, std::move(all)};
  Node* const parent = node->parent;
  parent->used = std::max(parent->used, node->used);
  std::erase_if(parent->children, [node](const auto& child) { return child.get() == node; });
  // What is left may be nobody else's.
  if (parent != root_.get() && parent->children.empty() && parent->holders.empty()) {
    move_to(oldest, parent);
    return Evicted{oldest, from, from, std::move(all)};
  }
  place(oldest) = {};
  free_.push_back(oldest);
  prune(parent);
  return Evicted{oldest, 0, from, std::move(all)};
}

int PrefixTree::length(int sequence) const noexcept {
  const Node* node = place(sequence).node;
  return node == nullptr ? 0 : node->end();
}

std::vector<Token> PrefixTree::tokens(int sequence) const {
  std::vector<Token> all(static_cast<std::size_t>(length(sequence)));
  for (const Node* node = place(sequence).node; node != nullptr; node = node->parent)
    std::ranges::copy(node->tokens, all.begin() + node->begin);
  return all;
}

// The upper part of the node, up to position `length`, becomes a node of its own.
PrefixTree::Node* PrefixTree::split(Node& node, int length) {
  const auto at = node.tokens.begin() + (length - node.begin);
  auto upper = std::make_unique<Node>();
  upper->parent = node.parent;
  upper->begin = node.begin;
  upper->tokens.assign(node.tokens.begin(), at);
  upper->open = node.open;
  upper->used = node.used;
  node.tokens.erase(node.tokens.begin(), at);
  node.begin = length;
  auto& siblings = node.parent->children;
  const auto mine = std::ranges::find(siblings, &node, [](const auto& each) { return each.get(); });
  node.parent = upper.get();
  std::swap(*mine, upper);
  Node* const made = mine->get();
  made->children.push_back(std::move(upper));
  return made;
}

void PrefixTree::count_open(Node* node, int change) {
  for (; node != root_.get(); node = node->parent) {
    const bool was = node->open > 0;
    node->open += change;
    if (was != (node->open > 0)) cells_open_ += was ? -node->size() : node->size();
  }
}

void PrefixTree::move_to(int sequence, Node* node) {
  place(sequence).node = node;
  node->holders.push_back(sequence);
}

void PrefixTree::leave(int sequence) {
  std::erase(place(sequence).node->holders, sequence);
  place(sequence) = {};
  free_.push_back(sequence);
}

// A node that nobody ends in is joined with the only one below it.
void PrefixTree::prune(Node* node) {
  if (node != root_.get() && node->holders.empty() && node->children.size() == 1) merge(*node);
}

void PrefixTree::merge(Node& node) {
  std::unique_ptr<Node> child = std::move(node.children.front());
  child->tokens.insert(child->tokens.begin(), node.tokens.begin(), node.tokens.end());
  child->begin = node.begin;
  child->parent = node.parent;
  auto& siblings = node.parent->children;
  const auto mine = std::ranges::find(siblings, &node, [](const auto& each) { return each.get(); });
  *mine = std::move(child);
}

bool PrefixTree::consistent() const {
  bool good = true;
  int cells = 0;
  int cells_open = 0;
  std::vector<int> seen(places_.size(), 0);
  const auto visit = [&](const auto& self, const Node& node) -> int {
    int open = 0;
    for (const int holder : node.holders) {
      const Place& its = place(holder);
      ++seen[static_cast<std::size_t>(holder)];
      open += its.open ? 1 : 0;
      good &= its.node == &node;
      // A kept sequence is alone, at a leaf.
      good &= its.open || (node.holders.size() == 1 && node.children.empty());
    }
    for (const auto& child : node.children) {
      good &= child->parent == &node && child->begin == node.end() && child->size() > 0;
      open += self(self, *child);
    }
    if (&node == root_.get()) return open;
    good &= node.open == open && !(node.children.empty() && node.holders.empty());
    cells += node.size();
    cells_open += open > 0 ? node.size() : 0;
    return open;
  };
  visit(visit, *root_);
  for (const int sequence : free_) ++seen[static_cast<std::size_t>(sequence)];
  good &= std::ranges::all_of(seen, [](int times) { return times == 1; });
  return good && cells == cells_ && cells_open == cells_open_;
}

}  // namespace baozi::llm
