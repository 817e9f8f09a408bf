#include "baozi/llm/prompt_lookup.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace baozi::llm {
namespace {

using engine::Token;

std::vector<Token> tokens_of(std::string_view text) { return {text.begin(), text.end()}; }

std::string guess_of(const PromptLookup& lookup) {
  const auto guess = lookup.guess();
  return {guess.begin(), guess.end()};
}

PromptLookup lookup_of(std::string_view prompt, int longest = 8) {
  return {tokens_of(prompt), longest, 1000};
}

TEST(PromptLookup, WhatFollowedTheSameTokens) {
  EXPECT_EQ(guess_of(lookup_of("the bun shop opens. In the ")), "bun shop");
  EXPECT_EQ(guess_of(lookup_of("the bun shop opens. In the ", 3)), "bun");
}

TEST(PromptLookup, TheLastPlaceCounts) {
  EXPECT_EQ(guess_of(lookup_of("one two, one six, one", 4)), " six");
}

TEST(PromptLookup, NothingWhereNothingIsTheSame) {
  EXPECT_EQ(guess_of(lookup_of("abcdefgh")), "");
  EXPECT_EQ(guess_of(lookup_of("ab")), "");
  EXPECT_EQ(guess_of(lookup_of("")), "");
}

TEST(PromptLookup, TheAnswerIsLookedAtToo) {
  PromptLookup lookup = lookup_of("q:");
  for (const char byte : std::string_view("1, 2, 3; 1, ")) lookup.add(byte);
  EXPECT_EQ(guess_of(lookup), "2, 3; 1,");
}

TEST(PromptLookup, ARunGuessesItself) { EXPECT_EQ(guess_of(lookup_of("aaaa")), "a"); }

TEST(PromptLookup, GuessesShrinkAndGrow) {
  PromptLookup lookup = lookup_of("abc123456789abc");
  EXPECT_EQ(guess_of(lookup), "12345678");
  lookup.was(8, 2);
  EXPECT_EQ(guess_of(lookup), "12");
  lookup.was(2, 0);
  EXPECT_EQ(guess_of(lookup), "1");
  lookup.was(1, 1);
  lookup.was(2, 2);
  EXPECT_EQ(guess_of(lookup), "1234");
  lookup.was(0, 0);
  EXPECT_EQ(guess_of(lookup), "1234") << "nothing was computed, nothing is known";
}

}  // namespace
}  // namespace baozi::llm
