#include "baozi/model/face.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "baozi/model/cached_response.h"
#include "baozi/model/request.h"

namespace baozi::model {
namespace {

using testing::ElementsAre;

const Face kFace{
    {{{"x", DType::kFp32, {-1, 3}}, {"labels", DType::kBytes, {}}}, {{"y", DType::kInt64, {-1}}}},
    {"bun", "", "tea"}};

TEST(Face, IsReadAsItWasWritten) {
  const std::optional<Face> face = decode_face(encode_face(kFace, 0));
  ASSERT_TRUE(face);
  ASSERT_EQ(face->signature.inputs.size(), 2u);
  EXPECT_EQ(face->signature.inputs[0].name, "x");
  EXPECT_EQ(face->signature.inputs[0].dtype, DType::kFp32);
  EXPECT_EQ(face->signature.inputs[0].shape, (Shape{-1, 3}));
  EXPECT_EQ(face->signature.inputs[1].name, "labels");
  EXPECT_EQ(face->signature.inputs[1].shape.rank(), 0u);
  ASSERT_EQ(face->signature.outputs.size(), 1u);
  EXPECT_EQ(face->signature.outputs[0].dtype, DType::kInt64);
  EXPECT_THAT(face->labels, ElementsAre("bun", "", "tea"));
  EXPECT_TRUE(decode_face(encode_face({}, 0)));
}

TEST(Face, WhatIsNoneIsNotTakenForOne) {
  const Bytes whole = encode_face(kFace, 0);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::optional<Face> cut = decode_face(whole.slice(0, size));
    if (cut) {
      EXPECT_LE(cut->labels.size(), kFace.labels.size());
    }
  }
  const auto of = [](std::string name, Tensor tensor) {
    InferResponse response;
    response.outputs.push_back({std::move(name), std::move(tensor)});
    return decode_face(encode_response(response, 0));
  };
  EXPECT_TRUE(of("<x", Tensor::of<std::int64_t>({2}, {11, -1})));
  EXPECT_FALSE(of("x", Tensor::of<std::int64_t>({2}, {11, -1})));
  EXPECT_FALSE(of("", Tensor::of<std::int64_t>({2}, {11, -1})));
  EXPECT_FALSE(of("<x", Tensor::of<std::int64_t>({2}, {14, -1}))) << "no such type";
  EXPECT_FALSE(of("<x", Tensor::of<std::int64_t>({2}, {-1, -1})));
  EXPECT_FALSE(of("<x", Tensor::of<std::int64_t>({2}, {11, -2}))) << "no size";
  EXPECT_FALSE(of("<x", Tensor::of<std::int64_t>({0}, {})));
  EXPECT_FALSE(of("<x", Tensor::of<std::int64_t>({10}, {11, 1, 1, 1, 1, 1, 1, 1, 1, 1})));
  EXPECT_FALSE(of("<x", Tensor::of<float>({2}, {1, 1})));
  EXPECT_FALSE(of("labels", Tensor::of<float>({2}, {1, 1})));
  EXPECT_TRUE(of("labels", Tensor::of_strings({1}, {"bun"})));
  InferResponse twice;
  for (int i = 0; i < 2; ++i) twice.outputs.push_back({"labels", Tensor::of_strings({1}, {"bun"})});
  EXPECT_FALSE(decode_face(encode_response(twice, 0)));
}

}  // namespace
}  // namespace baozi::model
