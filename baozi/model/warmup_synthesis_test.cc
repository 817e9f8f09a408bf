#include "baozi/model/warmup_synthesis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace baozi::model {
namespace {

using engine::Signature;
using engine::TensorSpec;
using testing::Each;
using testing::ElementsAre;

TensorSpec spec(std::string name, DType dtype, Shape shape) {
  return {.name = std::move(name), .dtype = dtype, .shape = shape};
}

const TensorSpec kOut = spec("y", DType::kFp32, {-1, 2});

std::vector<Shape> shapes_of(const std::vector<WarmupSample>& samples, std::size_t input) {
  std::vector<Shape> shapes;
  for (const WarmupSample& sample : samples) shapes.push_back(sample.inputs[input].tensor.shape());
  return shapes;
}

TEST(WarmupSynthesis, TextModelsGetSomeLengthsAlikeInAllInputs) {
  const Signature bert{
      {spec("input_ids", DType::kInt64, {-1, -1}), spec("attention_mask", DType::kInt64, {-1, -1}),
       spec("token_type_ids", DType::kInt64, {-1, -1})},
      {kOut}};
  const std::vector<WarmupSample> samples = synthesise_samples(bert);
  for (std::size_t input = 0; input < 3; ++input)
    EXPECT_THAT(shapes_of(samples, input), ElementsAre(Shape{1, 16}, Shape{1, 64}, Shape{1, 128}));
  const Tensors& first = samples.front().inputs;
  EXPECT_THAT(first[0].tensor.values<std::int64_t>(), Each(testing::AnyOf(0, 1)));
  EXPECT_THAT(first[1].tensor.values<std::int64_t>(), Each(1));
  EXPECT_THAT(first[2].tensor.values<std::int64_t>(), Each(0));
  for (const WarmupSample& sample : samples) {
    EXPECT_EQ(sample.origin, SampleOrigin::kSynthesised);
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_TRUE(engine::fits(bert.inputs[i], sample.inputs[i].tensor));
  }
}

TEST(WarmupSynthesis, AFixedShapeGivesOneSampleOfNoise) {
  const Signature image{{spec("pixels", DType::kFp32, {-1, 3, 8, 8})}, {kOut}};
  const std::vector<WarmupSample> samples = synthesise_samples(image);
  ASSERT_THAT(shapes_of(samples, 0), ElementsAre(Shape{1, 3, 8, 8}));
  const std::span<const float> values = samples[0].inputs[0].tensor.values<float>();
  EXPECT_THAT(values, Each(testing::AllOf(testing::Ge(0), testing::Lt(1))));
  EXPECT_GT(*std::ranges::max_element(values) - *std::ranges::min_element(values), 0.9f);
}

TEST(WarmupSynthesis, FreeImagesGetSidesThatConvolutionsHalve) {
  const Signature detector{{spec("x", DType::kFp32, {-1, 3, -1, -1})}, {kOut}};
  EXPECT_THAT(shapes_of(synthesise_samples(detector), 0),
              ElementsAre(Shape{1, 3, 224, 224}, Shape{1, 3, 320, 320}, Shape{1, 3, 640, 640}));
  const Signature reader{{spec("x", DType::kFp32, {-1, 3, 48, -1})}, {kOut}};
  EXPECT_THAT(shapes_of(synthesise_samples(reader), 0),
              ElementsAre(Shape{1, 3, 48, 224}, Shape{1, 3, 48, 320}, Shape{1, 3, 48, 640}));
}

TEST(WarmupSynthesis, WithoutABatchDimensionAFreeLengthIsALength) {
  const Signature series{{spec("t", DType::kFp64, {-1}), spec("scale", DType::kFp32, {})},
                         {spec("y", DType::kFp32, {2})}};
  const std::vector<WarmupSample> samples = synthesise_samples(series);
  EXPECT_THAT(shapes_of(samples, 0), ElementsAre(Shape{16}, Shape{64}, Shape{128}));
  EXPECT_THAT(shapes_of(samples, 1), Each(Shape{}));
}

TEST(WarmupSynthesis, EveryTypeIsMade) {
  Signature all{{}, {kOut}};
  for (int type = 0; type <= static_cast<int>(DType::kBytes); ++type)
    all.inputs.push_back(spec("x" + std::to_string(type), static_cast<DType>(type), {-1, 3}));
  const std::vector<WarmupSample> samples = synthesise_samples(all);
  ASSERT_EQ(samples.size(), 1u);
  for (std::size_t i = 0; i < all.inputs.size(); ++i) {
    EXPECT_TRUE(engine::fits(all.inputs[i], samples[0].inputs[i].tensor)) << i;
    EXPECT_EQ(samples[0].inputs[i].tensor.elements(), 3);
  }
  EXPECT_THAT(get_tensor(samples[0].inputs, "x13").strings(), ElementsAre("steam", "bun", "tea"));
}

TEST(WarmupSynthesis, PositionsCountUp) {
  const Tensor positions = synthesise_tensor("position_ids", DType::kInt64, {2, 3});
  EXPECT_THAT(positions.values<std::int64_t>(), ElementsAre(0, 1, 2, 0, 1, 2));
}

TEST(WarmupSynthesis, IsTheSameEachTime) {
  const Tensor once = synthesise_tensor("x", DType::kFp32, {4});
  const Tensor again = synthesise_tensor("x", DType::kFp32, {4});
  EXPECT_TRUE(std::ranges::equal(once.values<float>(), again.values<float>()));
}

TEST(WarmupSynthesis, WhatIsTooLargeIsLeftOut) {
  const Signature wide{{spec("x", DType::kFp32, {-1, 100'000'000})}, {kOut}};
  EXPECT_TRUE(synthesise_samples(wide).empty());
  const Signature film{{spec("x", DType::kFp32, {-1, 60, -1, -1})}, {kOut}};
  EXPECT_THAT(shapes_of(synthesise_samples(film), 0),
              ElementsAre(Shape{1, 60, 224, 224}, Shape{1, 60, 320, 320}));
}

}  // namespace
}  // namespace baozi::model
