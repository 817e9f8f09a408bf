#include "baozi/model/confidence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "baozi/base/error.h"

namespace baozi::model {
namespace {

using testing::HasSubstr;

TEST(Confidence, IsThatOfTheRowWhichIsLeastSure) {
  const Tensor scores = Tensor::of<float>({3, 2}, {0.9F, 0.1F, 0.3F, 0.7F, 0.01F, 0.99F});
  EXPECT_NEAR(confidence_of(scores, {}), 0.7, 1e-6);
  EXPECT_NEAR(confidence_of(scores, {.rows = false}), 0.99, 1e-6);
}

TEST(Confidence, SoftmaxMakesProbabilitiesOfLogits) {
  const Tensor logits = Tensor::of<float>({1, 3}, {1, 2, 3});
  const double sum = std::exp(-2.0) + std::exp(-1.0) + 1;
  EXPECT_NEAR(confidence_of(logits, {.logits = true}), 1 / sum, 1e-6);
  const Tensor huge = Tensor::of<double>({1, 2}, {1e300, -1e300});
  EXPECT_DOUBLE_EQ(confidence_of(huge, {.logits = true}), 1);
}

TEST(Confidence, OfHalvesToo) {
  const Tensor halves = Tensor::of<Half>({1, 2}, {to_half(0.25F), to_half(0.75F)});
  EXPECT_NEAR(confidence_of(halves, {}), 0.75, 1e-3);
  const Tensor brains = Tensor::of<BFloat16>({1, 2}, {to_bfloat16(0.5F), to_bfloat16(0.5F)});
  EXPECT_NEAR(confidence_of(brains, {}), 0.5, 1e-2);
}

TEST(Confidence, WhatIsNoNumberIsNotSure) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(confidence_of(Tensor::of<float>({2, 2}, {0.9F, 0.1F, kNan, 0.9F}), {}), 0);
  const Tensor infinite = Tensor::of<float>({1, 2}, {kInfinity, kInfinity});
  EXPECT_EQ(confidence_of(infinite, {.logits = true}), 0);
}

TEST(Confidence, WithoutRowsThereIsNoDoubtAndWithoutScoresNoConfidence) {
  EXPECT_EQ(confidence_of(Tensor::of<float>({0, 3}, {}), {}), 1);
  EXPECT_EQ(confidence_of(Tensor::of<float>({2, 0}, {}), {}), 0);
}

TEST(Confidence, LogitsThatAreNotSaidToBeAreRefused) {
  for (const float wrong : {7.5F, -0.5F}) {
    try {
      (void)confidence_of(Tensor::of<float>({1, 2}, {wrong, 0.5F}), {});
      ADD_FAILURE() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kFailedPrecondition);
      EXPECT_THAT(error.message(), HasSubstr("logits: true"));
    }
  }
  EXPECT_NEAR(confidence_of(Tensor::of<float>({1, 1}, {1.0001F}), {}), 1, 1e-9);  // rounded
  EXPECT_THROW((void)confidence_of(Tensor::of<std::int64_t>({1, 1}, {1}), {}), Error);
}

}  // namespace
}  // namespace baozi::model
