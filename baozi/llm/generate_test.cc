#include "baozi/llm/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baozi/llm/test_language.h"

namespace baozi::llm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class GenerateTest : public testing::Test {
 protected:
  Generation ask(std::string_view prompt, GenerateOptions options = {},
                 const StopToken& stop = {}) {
    shown_.clear();
    return generate(
        model_, *context_, model_.tokenize(prompt, true, true), options,
        [this](std::string_view text) { shown_.emplace_back(text); }, stop);
  }
  Error error_of(std::string_view prompt, GenerateOptions options = {},
                 const StopToken& stop = {}) {
    try {
      ask(prompt, options, stop);
    } catch (const Error& error) {
      return error;
    }
    return Error(Code::kOk, "no error");
  }

  LanguageScript script_;
  ScriptedModel model_{script_};
  std::unique_ptr<engine::LanguageContext> context_ = model_.create_context();
  std::vector<std::string> shown_;
};

TEST_F(GenerateTest, GivesTheAnswerAsItComes) {
  script_.answer = "yes";
  const Generation made = ask("well?");
  EXPECT_EQ(made.text, "yes");
  EXPECT_EQ(made.tokens.size(), 3u);
  EXPECT_EQ(made.finish, Finish::kEnd);
  EXPECT_THAT(shown_, ElementsAre("y", "e", "s"));
  EXPECT_EQ(script_.memory[0], "well?yes");
}

TEST_F(GenerateTest, CharactersStayWhole) {
  script_.answer = "包!";
  ask("?");
  EXPECT_THAT(shown_, ElementsAre("包", "!"));
  ask("?", {.max_tokens = 2});
  EXPECT_THAT(shown_, ElementsAre("\xef\xbf\xbd"));
}

TEST_F(GenerateTest, EndsForItsLength) {
  script_.answer = std::string(100, 'x');
  const Generation made = ask("?", {.max_tokens = 7});
  EXPECT_EQ(made.text, "xxxxxxx");
  EXPECT_EQ(made.finish, Finish::kLength);
  EXPECT_EQ(script_.memory[0], "?xxxxxx");
  script_.capacity = 20;
  const Generation full = ask("0123456789?");
  EXPECT_EQ(full.finish, Finish::kLength);
  EXPECT_EQ(full.text.size(), 10u);
}

TEST_F(GenerateTest, LongPromptsAreReadInChunks) {
  ask(std::string(600, 'p') + "?");
  EXPECT_THAT(script_.decodes, ElementsAre(256, 256, 89, 1, 1));
  script_.decodes.clear();
  script_.steps_max = 4;
  ask("0123456789?");
  EXPECT_THAT(script_.decodes, ElementsAre(4, 4, 3, 1, 1));
}

TEST_F(GenerateTest, WhatIsKnownIsNotReadAgain) {
  ask("one?");
  script_.decodes.clear();
  ask("one?oktwo?", {.known_tokens = 6});
  EXPECT_THAT(script_.decodes, ElementsAre(4, 1, 1));
  EXPECT_EQ(script_.memory[0], "one?oktwo?ok");
  script_.decodes.clear();
  ask("one?", {.known_tokens = 1000});  // the last one is always read
  EXPECT_THAT(script_.decodes, ElementsAre(1, 1, 1));
}

TEST_F(GenerateTest, PromptsThatCannotBeAnswered) {
  EXPECT_EQ(error_of("").code(), Code::kInvalidArgument);
  script_.capacity = 5;
  EXPECT_THAT(error_of("long?").message(), HasSubstr("the context holds 5"));
}

TEST_F(GenerateTest, AStopLeavesThePrompt) {
  script_.answer = "abcdef";
  StopSource stop;
  std::string shown;
  try {
    generate(
        model_, *context_, model_.tokenize("?", true, true), {},
        [&](std::string_view text) {
          shown += text;
          if (shown == "abc") stop.request_stop();
        },
        stop.token());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCancelled);
  }
  EXPECT_EQ(shown, "abc");
  EXPECT_EQ(script_.memory[0], "?");
}

}  // namespace
}  // namespace baozi::llm
