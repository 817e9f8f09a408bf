#include "baozi/llm/answer_text.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace baozi::llm {
namespace {

TEST(AnswerText, WithoutStopStringsEverythingGoesOn) {
  AnswerText answer;
  EXPECT_EQ(answer.add("one"), "one");
  EXPECT_EQ(answer.finish(), "");
}

TEST(AnswerText, EndsBeforeAStopString) {
  AnswerText answer({"END"});
  EXPECT_EQ(answer.add("all ENDs well"), "all ");
  EXPECT_TRUE(answer.stopped());
  EXPECT_EQ(answer.add("more"), "");
  EXPECT_EQ(answer.finish(), "");
}

TEST(AnswerText, AStopStringMayComeInPieces) {
  AnswerText answer({"\n\nUser:"});
  EXPECT_EQ(answer.add("yes\n"), "yes");
  EXPECT_EQ(answer.add("\nUs"), "");
  EXPECT_EQ(answer.add("er: no"), "");
  EXPECT_TRUE(answer.stopped());
}

TEST(AnswerText, WhatOnlyBeganLikeOneGoesOn) {
  AnswerText answer({"stop"});
  EXPECT_EQ(answer.add("st"), "");
  EXPECT_EQ(answer.add("ar"), "star");
  EXPECT_EQ(answer.add("a s"), "a ");
  EXPECT_EQ(answer.finish(), "s");
}

TEST(AnswerText, TheEarliestOfSeveralCounts) {
  AnswerText answer({"later", "soon"});
  EXPECT_EQ(answer.add("as soon or later"), "as ");
}

TEST(AnswerText, AStopStringThatRepeatsItselfIsFound) {
  AnswerText answer({"aab"});
  std::string text;
  for (const char each : std::string_view("aaab")) text += answer.add(std::string_view(&each, 1));
  EXPECT_EQ(text, "a");
  EXPECT_TRUE(answer.stopped());
}

TEST(AnswerText, CharactersAreWhole) {
  AnswerText answer({"stop"});
  EXPECT_EQ(answer.add("\xE5\x8C"), "");
  EXPECT_EQ(answer.add("\x85"), "包");
}

}  // namespace
}  // namespace baozi::llm
