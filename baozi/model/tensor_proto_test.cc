#include "baozi/model/tensor_proto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/base/wire.h"
#include "baozi/model/warmup_synthesis.h"

namespace baozi::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t kMax = 1 << 20;

// dtype and shape, as the head of a message.
std::string head(std::uint64_t type, std::vector<std::uint64_t> shape) {
  std::string dims;
  for (const std::uint64_t size : shape) {
    std::string dim;
    append_field(dim, 1, size);
    append_field(dims, 2, std::string_view(dim));
  }
  std::string out;
  append_field(out, 1, type);
  append_field(out, 2, std::string_view(dims));
  return out;
}

std::string error_of(const std::string& message) {
  try {
    parse_tensor_proto(message, kMax);
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

TEST(TensorProto, EveryTypeComesBackAsItWas) {
  for (int type = 0; type <= static_cast<int>(DType::kBytes); ++type) {
    const Tensor tensor = synthesise_tensor("x", static_cast<DType>(type), {2, 3});
    const Tensor back = parse_tensor_proto(format_tensor_proto(tensor), kMax);
    EXPECT_EQ(back.dtype(), tensor.dtype());
    EXPECT_EQ(back.shape(), tensor.shape());
    EXPECT_TRUE(std::ranges::equal(back.data().span(), tensor.data().span())) << type;
  }
  EXPECT_EQ(parse_tensor_proto(format_tensor_proto(Tensor::of<float>({}, {7.0f})), kMax)
                .values<float>()[0],
            7.0f);
  EXPECT_EQ(parse_tensor_proto(format_tensor_proto(Tensor::of<float>({0, 4}, {})), kMax).shape(),
            (Shape{0, 4}));
}

TEST(TensorProto, PackedAndSingleValuesAreRead) {
  std::string packed = head(9, {3});  // DT_INT64
  std::string run;
  for (const std::int64_t value : {std::int64_t{1}, std::int64_t{-2}, std::int64_t{300}})
    append_varint(run, static_cast<std::uint64_t>(value));
  append_field(packed, 10, std::string_view(run));
  EXPECT_THAT(parse_tensor_proto(packed, kMax).values<std::int64_t>(), ElementsAre(1, -2, 300));
  std::string single = head(3, {2});  // DT_INT32
  append_field(single, 7, std::uint64_t{5});
  append_field(single, 7, static_cast<std::uint64_t>(std::int64_t{-6}));
  EXPECT_THAT(parse_tensor_proto(single, kMax).values<std::int32_t>(), ElementsAre(5, -6));
  std::string floats = head(1, {2});  // DT_FLOAT, as single fields of fixed width
  for (const float value : {0.5f, -1.0f}) {
    append_varint(floats, 5 << 3 | 5);
    const auto bits = std::bit_cast<std::uint32_t>(value);
    floats.append(reinterpret_cast<const char*>(&bits), 4);
  }
  EXPECT_THAT(parse_tensor_proto(floats, kMax).values<float>(), ElementsAre(0.5f, -1.0f));
}

TEST(TensorProto, TheLastValueIsRepeated) {
  std::string some = head(3, {4});
  append_field(some, 7, std::uint64_t{1});
  append_field(some, 7, std::uint64_t{2});
  EXPECT_THAT(parse_tensor_proto(some, kMax).values<std::int32_t>(), ElementsAre(1, 2, 2, 2));
  EXPECT_THAT(parse_tensor_proto(head(3, {2}), kMax).values<std::int32_t>(), ElementsAre(0, 0));
  std::string words = head(7, {2});
  append_field(words, 8, std::string_view("bun"));
  EXPECT_THAT(parse_tensor_proto(words, kMax).strings(), ElementsAre("bun", "bun"));
}

TEST(TensorProto, WhatMakesNoSenseIsRefused) {
  EXPECT_THAT(error_of(head(8, {1})), HasSubstr("type 8"));  // DT_COMPLEX64
  EXPECT_THAT(error_of(head(1, {1u << 20})), HasSubstr("takes more than"));
  EXPECT_THAT(error_of(head(1, {std::uint64_t{1} << 60, 2})), testing::Ne("no error"));
  EXPECT_THAT(error_of(head(1, {static_cast<std::uint64_t>(std::int64_t{-1})})),
              testing::Ne("no error"));
  std::string short_content = head(1, {2});
  append_field(short_content, 4, std::string_view("\0\0\0\0", 4));
  EXPECT_THAT(error_of(short_content), HasSubstr("content has 4 bytes"));
  std::string many = head(9, {1});
  append_field(many, 10, std::uint64_t{1});
  append_field(many, 10, std::uint64_t{1});
  EXPECT_THAT(error_of(many), HasSubstr("it has 2 values"));
  std::string wild = head(10, {1});
  append_field(wild, 4, std::string_view("\x07"));
  EXPECT_THAT(error_of(wild), HasSubstr("neither 0 nor 1"));
  std::string words = head(7, {1});
  append_field(words, 8, std::string_view("a"));
  append_field(words, 8, std::string_view("b"));
  EXPECT_THAT(error_of(words), HasSubstr("it has 2 strings"));
  EXPECT_THAT(error_of("\x12\x7f"), HasSubstr("damaged"));
}

}  // namespace
}  // namespace baozi::model
