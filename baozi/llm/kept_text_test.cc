#include "baozi/llm/kept_text.h"

#include <gtest/gtest.h>

#include "baozi/model/cache_record.h"

namespace baozi::llm {
namespace {

KeptText example() {
  KeptText kept;
  kept.answers = {{1, 2}, {3, ~std::uint64_t{0}}};
  kept.echoes = {"Steam", ""};
  kept.replies = {{answer_digest("call f {}"), {"", "hm", {{"7", "f", "{}"}, {"", "g", ""}}}},
                  {answer_digest("Hi"), {"Hi", "", {}}}};
  kept.pieces = {{0, ""}, {7, std::string("\0\xff", 2)}, {300, " bun"}};
  return kept;
}

Bytes encoded(const KeptText& kept) {
  const Bytes block = encode_kept_text(kept, model::kRecordHeadBytes);
  return block.slice(model::kRecordHeadBytes, block.size() - model::kRecordHeadBytes);
}

TEST(KeptText, ComesBackAsItWas) {
  const std::optional<KeptText> again = decode_kept_text(encoded(example()));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->answers, example().answers);
  EXPECT_EQ(again->echoes, example().echoes);
  EXPECT_EQ(again->pieces, example().pieces);
  ASSERT_EQ(again->replies.size(), 2u);
  EXPECT_EQ(again->replies[0].of, answer_digest("call f {}"));
  const engine::ChatReply& reply = again->replies[0].reply;
  EXPECT_EQ(reply.reasoning, "hm");
  ASSERT_EQ(reply.tool_calls.size(), 2u);
  EXPECT_EQ(reply.tool_calls[0].id, "7");
  EXPECT_EQ(reply.tool_calls[0].arguments, "{}");
  EXPECT_EQ(reply.tool_calls[1].name, "g");
}

TEST(KeptText, SaysWhetherAnAnswerCanBeWritten) {
  KeptText kept = example();
  CompletionPiece answer;
  answer.text = "Hi";
  EXPECT_TRUE(says_all_of(kept, answer));
  ASSERT_NE(find_reply(kept, "Hi"), nullptr);
  EXPECT_EQ(find_reply(kept, "Hi")->content, "Hi");
  answer.chances.push_back({{7, -0.5F}, {{300, -1.0F}}});
  EXPECT_TRUE(says_all_of(kept, answer));
  answer.chances.push_back({{7, -0.5F}, {{301, -1.0F}}});
  EXPECT_FALSE(says_all_of(kept, answer)) << "nobody knows token 301";
  answer.chances.clear();
  answer.text = "Hi!";
  EXPECT_FALSE(says_all_of(kept, answer)) << "the reply is that of another answer";
  EXPECT_EQ(find_reply(kept, "Hi!"), nullptr);
  kept.replies.clear();
  EXPECT_TRUE(says_all_of(kept, answer)) << "an answer is its text";
}

// A cut at the end of a field leaves a shorter record: that is what the checksum around it is for.
TEST(KeptText, WhatIsNoneIsNotTaken) {
  EXPECT_FALSE(decode_kept_text(Bytes::copy_of(std::string_view())));
  EXPECT_FALSE(decode_kept_text(encoded({})));
  EXPECT_FALSE(decode_kept_text(Bytes::copy_of(std::string_view("garbage"))));
  const std::string whole(encoded({.answers = {{1, 2}}}).text());
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(decode_kept_text(Bytes::copy_of(whole.substr(0, size)))) << size;
  EXPECT_FALSE(decode_kept_text(Bytes::copy_of(whole + "\x28\x01"))) << "a field 5";
  EXPECT_FALSE(decode_kept_text(Bytes::copy_of(whole + "\x08\x01"))) << "a number for a key";
}

}  // namespace
}  // namespace baozi::llm
