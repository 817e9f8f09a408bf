#include "baozi/base/wire.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "baozi/base/error.h"

namespace baozi {
namespace {

using Kind = WireField::Kind;

// The examples of protobuf.dev, "Encoding".
TEST(Wire, ReadsTheManualsExamples) {
  WireReader number("\x08\x96\x01");
  WireField field;
  ASSERT_TRUE(number.next(field));
  EXPECT_EQ(field.number, 1u);
  EXPECT_EQ(field.value, 150u);
  EXPECT_FALSE(number.next(field));
  WireReader text("\x12\x07testing");
  ASSERT_TRUE(text.next(field));
  EXPECT_EQ(field.number, 2u);
  EXPECT_EQ(field.kind, Kind::kBytes);
  EXPECT_EQ(field.bytes, "testing");
}

TEST(Wire, FixedFieldsKeepTheirBits) {
  WireReader fields(std::string_view("\x0d\x01\x02\x03\x04\x11\x01\0\0\0\0\0\0\x80", 14));
  WireField field;
  ASSERT_TRUE(fields.next(field));
  EXPECT_EQ(field.kind, Kind::kFixed32);
  EXPECT_EQ(field.value, 0x04030201u);
  ASSERT_TRUE(fields.next(field));
  EXPECT_EQ(field.kind, Kind::kFixed64);
  EXPECT_EQ(field.value, 0x8000000000000001u);
}

TEST(Wire, WhatIsWrittenIsRead) {
  std::string out;
  const std::vector<std::uint64_t> values{0,   1,   127,
                                          128, 300, std::numeric_limits<std::uint64_t>::max()};
  for (const std::uint64_t value : values) append_field(out, 20, value);
  append_field(out, 1, std::string_view("bun"));
  WireReader fields(out);
  WireField field;
  for (const std::uint64_t value : values) {
    ASSERT_TRUE(fields.next(field));
    EXPECT_EQ(field.number, 20u);
    EXPECT_EQ(field.value, value);
  }
  ASSERT_TRUE(fields.next(field));
  EXPECT_EQ(field.bytes, "bun");
  EXPECT_TRUE(fields.done());
}

TEST(Wire, WhatIsCutOrNonsenseIsRefused) {
  for (const std::string_view text :
       {std::string_view("\x08"), std::string_view("\x08\x96"), std::string_view("\x12\x07te"),
        std::string_view("\x0d\x01"), std::string_view("\x0b"), std::string_view("\0\x01", 2),
        std::string_view("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")}) {
    WireReader fields(text);
    WireField field;
    EXPECT_THROW(fields.next(field), Error) << text;
  }
}

}  // namespace
}  // namespace baozi
