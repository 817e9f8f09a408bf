#include "baozi/pipeline/batch_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baozi/base/error.h"

namespace baozi::pipeline {
namespace {

using testing::ElementsAre;

engine::Signature signature_of(DType dtype, Shape shape, std::vector<std::string> dim_names = {}) {
  engine::Signature signature;
  signature.inputs.push_back({"x", dtype, shape, dim_names});
  signature.outputs.push_back({"y", dtype, shape, dim_names});
  return signature;
}

Tensors with(Tensor tensor) {
  Tensors tensors;
  tensors.push_back({"x", std::move(tensor)});
  return tensors;
}

TEST(BatchLayout, LengthsFallIntoPowersOfTwoAndHalfSteps) {
  std::vector<std::int64_t> groups;
  for (const std::int64_t length : {0, 1, 2, 3, 4, 5, 7, 9, 12, 13, 33, 49, 384, 385}) {
    groups.push_back(BatchLayout::length_group(length));
  }
  EXPECT_THAT(groups, ElementsAre(0, 1, 2, 3, 4, 6, 8, 12, 12, 16, 48, 64, 384, 512));
}

TEST(BatchLayout, PadsInnerDimensionsWithTheGivenValue) {
  const BatchLayout layout(signature_of(DType::kInt64, {-1, -1, -1}), {{"x", 9}});
  const Tensors a = with(Tensor::of<std::int64_t>({1, 1, 2}, {1, 2}));
  const Tensors b = with(Tensor::of<std::int64_t>({1, 2, 1}, {3, 4}));
  const Tensors* both[] = {&a, &b};
  const Tensor whole = layout.gather(0, both, heap_allocator());
  EXPECT_EQ(whole.shape(), (Shape{2, 2, 2}));
  EXPECT_THAT(whole.values<std::int64_t>(), ElementsAre(1, 2, 9, 9, 3, 9, 4, 9));
}

TEST(BatchLayout, WithoutPaddingOnlyEqualShapesShareAKey) {
  const BatchLayout exact(signature_of(DType::kFp32, {-1, -1}), {});
  const BatchLayout padded(signature_of(DType::kFp32, {-1, -1}), {{"x", 0}});
  const Tensors a = with(Tensor::of<float>({1, 5}, {1, 2, 3, 4, 5}));
  const Tensors b = with(Tensor::of<float>({2, 6}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  EXPECT_NE(exact.shape_key(a), exact.shape_key(b));
  EXPECT_EQ(padded.shape_key(a), padded.shape_key(b));
  const Tensors* both[] = {&a, &b};
  EXPECT_THROW(exact.gather(0, both, heap_allocator()), Error);
}

TEST(BatchLayout, JoinsAndSplitsStrings) {
  const BatchLayout layout(signature_of(DType::kBytes, {-1, 2}), {});
  const Tensors a = with(Tensor::of_strings({1, 2}, {"one", ""}));
  const Tensors b = with(Tensor::of_strings({2, 2}, {"three", "four", "", "six"}));
  const Tensors* both[] = {&a, &b};
  const Tensor whole = layout.gather(0, both, heap_allocator());
  EXPECT_THAT(whole.strings(), ElementsAre("one", "", "three", "four", "", "six"));
  const Tensor inputs[] = {whole};
  const Tensor first = layout.scatter(0, whole, 0, 1, a, inputs, heap_allocator());
  const Tensor rest = layout.scatter(0, whole, 1, 2, b, inputs, heap_allocator());
  EXPECT_THAT(first.strings(), ElementsAre("one", ""));
  EXPECT_EQ(rest.shape(), (Shape{2, 2}));
  EXPECT_THAT(rest.strings(), ElementsAre("three", "four", "", "six"));
}

TEST(BatchLayout, OutputsShareTheBatchsMemory) {
  const BatchLayout layout(signature_of(DType::kFp32, {-1, 2}), {});
  const Tensor whole = Tensor::of<float>({3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor inputs[] = {whole};
  const Tensor part = layout.scatter(0, whole, 1, 2, with(whole), inputs, heap_allocator());
  EXPECT_EQ(part.data().data(), whole.data().data() + 8);
}

TEST(BatchLayout, OutputsAreCutWhereADimensionIsNamedLikeAPaddedOne) {
  const BatchLayout layout(signature_of(DType::kFp32, {-1, -1}, {"batch", "length"}), {{"x", 0}});
  const Tensors request = with(Tensor::of<float>({2, 1}, {7, 8}));
  const Tensor batch = Tensor::of<float>({3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor inputs[] = {batch};
  const Tensor part = layout.scatter(0, batch, 1, 2, request, inputs, heap_allocator());
  EXPECT_EQ(part.shape(), (Shape{2, 1}));
  EXPECT_THAT(part.values<float>(), ElementsAre(3, 5));
}

TEST(BatchLayout, RefusesPaddingThatMakesNoSense) {
  EXPECT_THROW(BatchLayout(signature_of(DType::kFp32, {-1, -1}), {{"z", 0}}), Error);
  EXPECT_THROW(BatchLayout(signature_of(DType::kBytes, {-1}), {{"x", 0}}), Error);
}

TEST(BatchLayout, InputsMustAgreeAboutTheirRows) {
  engine::Signature signature = signature_of(DType::kFp32, {-1});
  signature.inputs.push_back({"z", DType::kFp32, {-1}, {}});
  const BatchLayout layout(signature, {});
  Tensors inputs;
  inputs.push_back({"z", Tensor::of<float>({2}, {1, 2})});
  inputs.push_back({"x", Tensor::of<float>({1}, {1})});
  try {
    layout.check_inputs(inputs);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "input 'x' has 1 rows, but 'z' has 2");
  }
  EXPECT_EQ(inputs[0].name, "x") << "in the signature's order";
}

}  // namespace
}  // namespace baozi::pipeline
