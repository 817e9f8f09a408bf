#include "baozi/llm/prefix_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace baozi::llm {
namespace {

using engine::Token;

std::vector<Token> tokens_of(std::string_view text) { return {text.begin(), text.end()}; }

// Opens a sequence that begins with what is known of `text` and computes the rest.
int add(PrefixTree& tree, std::string_view text) {
  const std::vector<Token> all = tokens_of(text);
  const PrefixTree::Match known = tree.match(all);
  const auto opened = tree.open(known);
  if (!opened) return -1;
  tree.extend(opened->sequence, std::span(all).subspan(static_cast<std::size_t>(known.length)), 0);
  return opened->sequence;
}

TEST(PrefixTree, WhatNobodyComputedIsNotFound) {
  const PrefixTree tree(2);
  EXPECT_EQ(tree.match(tokens_of("system")).length, 0);
  EXPECT_EQ(tree.match(tokens_of("system")).sequence, -1);
}

TEST(PrefixTree, ACommonBeginningIsHeldOnce) {
  PrefixTree tree(4);
  add(tree, "system: one");
  const int second = add(tree, "system: two");
  EXPECT_EQ(tree.cells(), 11 + 3);
  EXPECT_EQ(tree.cells_open(), 14);
  EXPECT_EQ(tree.tokens(second), tokens_of("system: two"));
  EXPECT_TRUE(tree.consistent());
}

// A conversation's next turn begins with all of the last one.
TEST(PrefixTree, AKeptSequenceIsTakenOverWithoutACopy) {
  PrefixTree tree(4);
  const int first = add(tree, "hello");
  EXPECT_TRUE(tree.close(first));
  const PrefixTree::Match known = tree.match(tokens_of("hello again"));
  EXPECT_EQ(known.length, 5);
  EXPECT_EQ(known.idle, 5);
  const auto opened = tree.open(known);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->sequence, first);
  EXPECT_FALSE(opened->copied);
}

TEST(PrefixTree, OfWhatIsDiscardedOnlyWhatOthersHoldIsLeft) {
  PrefixTree tree(4);
  const int kept = add(tree, "system: one");
  const int gone = add(tree, "system: two");
  const int alone = add(tree, "other");
  tree.discard(gone);
  EXPECT_TRUE(tree.consistent());
  EXPECT_EQ(tree.cells(), 11 + 5);
  EXPECT_EQ(tree.match(tokens_of("system: two")).length, 8);
  tree.discard(alone);
  EXPECT_EQ(tree.match(tokens_of("other")).length, 0);
  EXPECT_TRUE(tree.close(kept));
  EXPECT_EQ(tree.cells(), 11);
  EXPECT_EQ(tree.cells_open(), 0);
  EXPECT_TRUE(tree.consistent());
}

TEST(PrefixTree, WhatOthersHoldIsNotKeptTwice) {
  PrefixTree tree(4);
  add(tree, "system: one");
  const int second = tree.open(tree.match(tokens_of("system: ")))->sequence;
  EXPECT_FALSE(tree.close(second));
  EXPECT_EQ(tree.cells(), 11);
  EXPECT_TRUE(tree.consistent());
}

TEST(PrefixTree, TheLongestUnusedGoesFirstAndFromItsEnd) {
  PrefixTree tree(4);
  tree.close(add(tree, "one.."));
  tree.close(add(tree, "two.."));
  tree.close(tree.open(tree.match(tokens_of("one..")))->sequence);
  const auto evicted = tree.evict(2);
  ASSERT_TRUE(evicted);
  EXPECT_EQ(evicted->begin, 3);
  EXPECT_EQ(tree.match(tokens_of("two..")).length, 3);
  EXPECT_EQ(tree.match(tokens_of("one..")).length, 5);
  EXPECT_TRUE(tree.consistent());
}

// A system prompt outlives the conversations that began with it.
TEST(PrefixTree, ACommonBeginningGoesLast) {
  PrefixTree tree(8);
  for (const char* text : {"system: one", "system: two", "other"}) tree.close(add(tree, text));
  tree.close(add(tree, "system: three"));
  for (int i = 0; i < 3; ++i) tree.evict(1000);
  EXPECT_EQ(tree.match(tokens_of("system: three")).length, 13);
  tree.evict(5);
  EXPECT_EQ(tree.match(tokens_of("system: three")).length, 8);
  tree.evict(1000);
  EXPECT_EQ(tree.cells(), 0);
  EXPECT_FALSE(tree.evict(1));
  EXPECT_TRUE(tree.consistent());
}

TEST(PrefixTree, OpenSequencesAreNotEvicted) {
  PrefixTree tree(2);
  add(tree, "one");
  EXPECT_FALSE(tree.evict(1));
}

TEST(PrefixTree, WhenAllSequencesAreTakenNoneOpens) {
  PrefixTree tree(2);
  EXPECT_GE(add(tree, "one"), 0);
  EXPECT_GE(add(tree, "two"), 0);
  EXPECT_EQ(add(tree, "three"), -1);
  EXPECT_TRUE(tree.consistent());
}

// Against a plain map of what each sequence holds.
TEST(PrefixTree, RandomUseAgreesWithAPlainModel) {
  const auto seed = static_cast<unsigned>(std::random_device{}());
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  PrefixTree tree(6);
  std::map<int, std::vector<Token>> held;
  std::vector<int> open;
  for (int round = 0; round < 4000; ++round) {
    std::vector<Token> text(1 + below(12));
    for (Token& token : text) token = static_cast<Token>(below(2));
    switch (below(4)) {
      case 0: {
        const PrefixTree::Match known = tree.match(text);
        std::size_t best = 0;
        for (const auto& [sequence, tokens] : held)
          best = std::max(best, static_cast<std::size_t>(std::ranges::mismatch(tokens, text).in2 -
                                                         text.begin()));
        // Where two nodes begin alike, the tree follows the longer of them and may miss more.
        ASSERT_LE(static_cast<std::size_t>(known.length), best);
        if (known.length > 0) {
          const auto& source = held.at(known.sequence);
          ASSERT_TRUE(std::equal(text.begin(), text.begin() + known.length, source.begin()));
        }
        const auto opened = tree.open(known);
        if (!opened) break;
        held[opened->sequence].assign(text.begin(), text.begin() + known.length);
        open.push_back(opened->sequence);
        break;
      }
      case 1: {
        if (open.empty()) break;
        const int sequence = open[below(open.size())];
        tree.extend(sequence, text, 4);
        held[sequence].insert(held[sequence].end(), text.begin(), text.end());
        break;
      }
      case 2: {
        if (open.empty()) break;
        const std::size_t at = below(open.size());
        if (!tree.close(open[at])) held.erase(open[at]);
        open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      }
      default: {
        const auto evicted = tree.evict(static_cast<int>(1 + below(8)));
        if (!evicted) break;
        held[evicted->sequence].resize(static_cast<std::size_t>(evicted->begin));
        if (evicted->begin == 0) held.erase(evicted->sequence);
      }
    }
    ASSERT_TRUE(tree.consistent()) << "round " << round;
    for (const auto& [sequence, tokens] : held) ASSERT_EQ(tree.tokens(sequence), tokens);
  }
}

}  // namespace
}  // namespace baozi::llm
