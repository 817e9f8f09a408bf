#include "baozi/llm/utf8_stream.h"

#include <gtest/gtest.h>

namespace baozi::llm {
namespace {

std::string byte_by_byte(std::string_view bytes) {
  Utf8Stream stream;
  std::string text;
  for (const char byte : bytes) text += stream.add({&byte, 1});
  return text + stream.finish();
}

TEST(Utf8Stream, KeepsCharactersWhole) {
  Utf8Stream stream;
  EXPECT_EQ(stream.add("caf\xc3"), "caf");
  EXPECT_EQ(stream.add("\xa9 \xf0\x9f"), "\xc3\xa9 ");
  EXPECT_EQ(stream.add("\xa5"), "");
  EXPECT_EQ(stream.add("\x9f!"), "🥟!");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Utf8Stream, TextIsTheSameByteByByte) {
  for (const std::string_view text : {"", "plain", "naïve café", "包子 🥟 ok"})
    EXPECT_EQ(byte_by_byte(text), text);
}

// The Unicode Standard, 3.9, tables 3-8 to 3-11.
TEST(Utf8Stream, WhatIsNoCharacterIsReplaced) {
  const std::string_view bad = "\xef\xbf\xbd";
  const auto replaced = [&](int count, std::string_view rest) {
    std::string text;
    for (int i = 0; i < count; ++i) text += bad;
    return text + std::string(rest);
  };
  EXPECT_EQ(byte_by_byte("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"), replaced(8, "A"));
  EXPECT_EQ(byte_by_byte("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41"), replaced(8, "A"));
  EXPECT_EQ(byte_by_byte("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42"),
            replaced(5, "A") + replaced(2, "B"));
  EXPECT_EQ(byte_by_byte("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), replaced(4, "A"));
  EXPECT_EQ(byte_by_byte("cut \xf0\x9f\xa5"), "cut " + replaced(1, ""));
}

}  // namespace
}  // namespace baozi::llm
