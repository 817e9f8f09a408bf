#include "baozi/llm/chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baozi/llm/test_language.h"

namespace baozi::llm {
namespace {

using testing::ElementsAre;

class ChatTest : public testing::Test {
 protected:
  LanguageScript script_;
  ScriptedModel model_{script_};
  std::unique_ptr<engine::LanguageContext> context_ = model_.create_context();
};

TEST_F(ChatTest, EachTurnReadsItsOwnWordsOnly) {
  Chat chat(model_, *context_, {.system = "sys"});
  EXPECT_EQ(chat.answer("hello", {}, {}), "ok");
  EXPECT_EQ(script_.memory[0], "sys\nhello?ok");
  script_.decodes.clear();
  // The template puts a newline where the model saw the question mark, so that turn is read again.
  EXPECT_EQ(chat.answer("more", {}, {}), "ok");
  EXPECT_EQ(script_.memory[0], "sys\nhello\nok\nmore?ok");
  EXPECT_THAT(script_.decodes, ElementsAre(9, 1, 1));  // "\nok\nmore?", not "sys\nhello"
  EXPECT_EQ(chat.messages().size(), 5u);
}

TEST_F(ChatTest, AStoppedAnswerStaysAsFarAsItCame) {
  script_.answer = "abcdef";
  Chat chat(model_, *context_, {});
  StopSource stop;
  const auto stop_after_two = [&, count = 0](std::string_view) mutable {
    if (++count == 2) stop.request_stop();
  };
  EXPECT_THROW(chat.answer("q", stop_after_two, stop.token()), Error);
  ASSERT_EQ(chat.messages().size(), 2u);
  EXPECT_EQ(chat.messages()[1].content, "ab");
  EXPECT_EQ(chat.answer("again", {}, {}), "abcdef");
  EXPECT_EQ(script_.memory[0], "q\nab\nagain?abcdef");
}

TEST_F(ChatTest, WordsThatDoNotFitLeaveTheConversationAsItWas) {
  script_.capacity = 12;
  Chat chat(model_, *context_, {});
  EXPECT_THROW(chat.answer("much too long", {}, {}), Error);
  EXPECT_TRUE(chat.messages().empty());
  EXPECT_EQ(chat.answer("hi", {}, {}), "ok");
}

TEST_F(ChatTest, ClearKeepsTheSystemMessage) {
  Chat chat(model_, *context_, {.system = "sys"});
  chat.answer("a", {}, {});
  chat.clear();
  ASSERT_EQ(chat.messages().size(), 1u);
  chat.answer("b", {}, {});
  EXPECT_EQ(script_.memory[0], "sys\nb?ok");
}

}  // namespace
}  // namespace baozi::llm
