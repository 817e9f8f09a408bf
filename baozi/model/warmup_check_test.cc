#include "baozi/model/warmup_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "baozi/base/error.h"

namespace baozi::model {
namespace {

using testing::HasSubstr;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::string error_of(const std::function<void()>& check) {
  try {
    check();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    return error.message();
  }
  return "";
}

Tensors floats(std::initializer_list<float> values) {
  return {{"y", Tensor::of<float>({static_cast<std::int64_t>(values.size())}, values)}};
}

TEST(WarmupCheck, NanIsRefusedWhateverTheSample) {
  for (const SampleOrigin origin :
       {SampleOrigin::kSynthesised, SampleOrigin::kGiven, SampleOrigin::kRecorded}) {
    EXPECT_THAT(error_of([&] { check_finite(floats({1, kNan}), origin); }),
                HasSubstr("output 'y' has NaN at element 1"));
  }
}

TEST(WarmupCheck, InfinityIsLeftToNoise) {
  EXPECT_EQ(error_of([] { check_finite(floats({-kInf}), SampleOrigin::kSynthesised); }), "");
  EXPECT_THAT(error_of([] { check_finite(floats({-kInf}), SampleOrigin::kGiven); }),
              HasSubstr("an infinity at element 0"));
}

TEST(WarmupCheck, HalvesAndDoublesAreLookedAt) {
  const Tensors half{{"h", Tensor::of<Half>({1}, {to_half(kNan)})}};
  const Tensors twice{{"d", Tensor::of<double>({2}, {0.0, static_cast<double>(kNan)})}};
  const Tensors whole{{"i", Tensor::of<std::int64_t>({1}, {-1})}};
  EXPECT_THAT(error_of([&] { check_finite(half, SampleOrigin::kGiven); }), HasSubstr("'h'"));
  EXPECT_THAT(error_of([&] { check_finite(twice, SampleOrigin::kGiven); }), HasSubstr("'d'"));
  EXPECT_EQ(error_of([&] { check_finite(whole, SampleOrigin::kGiven); }), "");
}

TEST(WarmupCheck, FloatsAreMetWithinTheTolerance) {
  EXPECT_EQ(error_of([] { check_equal(floats({1.0005f, 1000.5f}), floats({1, 1000}), 1e-3); }), "");
  EXPECT_THAT(error_of([] { check_equal(floats({1, 1002}), floats({1, 1000}), 1e-3); }),
              HasSubstr("1002 at element 1, but 1000 is expected"));
  EXPECT_EQ(error_of([] { check_equal(floats({kInf, kNan}), floats({kInf, kNan}), 0); }), "");
  EXPECT_NE(error_of([] { check_equal(floats({1}), floats({kNan}), 1); }), "");
  EXPECT_NE(error_of([] { check_equal(floats({kNan}), floats({1}), 1); }), "");
}

TEST(WarmupCheck, OthersAreMetExactly) {
  const Tensors whole{{"i", Tensor::of<std::int64_t>({2}, {7, 8})}};
  const Tensors other{{"i", Tensor::of<std::int64_t>({2}, {7, 9})}};
  EXPECT_EQ(error_of([&] { check_equal(whole, whole, 0); }), "");
  EXPECT_THAT(error_of([&] { check_equal(whole, other, 100); }), HasSubstr("from element 1 on"));
  const Tensors text{{"s", Tensor::of_strings({2}, {"bun", "tea"})}};
  const Tensors wrong{{"s", Tensor::of_strings({2}, {"bun", "milk"})}};
  EXPECT_EQ(error_of([&] { check_equal(text, text, 0); }), "");
  EXPECT_THAT(error_of([&] { check_equal(text, wrong, 0); }),
              HasSubstr("'tea' at element 1, but 'milk' is expected"));
}

TEST(WarmupCheck, AnswersAreRefusedInTheNameOfTheirSample) {
  const WarmupSample sample{.inputs = {}, .expected = floats({kInf, 1}), .from = "tea.json"};
  EXPECT_EQ(error_of([&] { check_answer(sample, floats({kInf, 1}), 0); }), "");
  EXPECT_THAT(error_of([&] { check_answer(sample, floats({kInf, 2}), 0); }),
              HasSubstr("warm-up, tea.json: output 'y' has 2"));
  const WarmupSample open{.inputs = {}, .from = "bun.json"};
  EXPECT_THAT(error_of([&] { check_answer(open, floats({kInf}), 0); }),
              HasSubstr("warm-up, bun.json: output 'y' has an infinity"));
}

TEST(WarmupCheck, OnlyWhatWasGivenMustBeAnswered) {
  const Error refused(Code::kFailedPrecondition, "too long");
  WarmupSample sample{.inputs = {}, .from = "tea.json"};
  EXPECT_THAT(error_of([&] { pass_over(sample, refused, "m"); }),
              testing::Eq("warm-up, tea.json: too long"));
  for (const SampleOrigin origin : {SampleOrigin::kSynthesised, SampleOrigin::kRecorded}) {
    sample.origin = origin;
    EXPECT_NO_THROW(pass_over(sample, refused, "m"));
    EXPECT_THROW(pass_over(sample, Error(Code::kCancelled, "stopped"), "m"), Error);
  }
}

TEST(WarmupCheck, TypeShapeAndNameAreCompared) {
  const Tensors whole{{"y", Tensor::of<std::int64_t>({1}, {1})}};
  EXPECT_THAT(error_of([&] { check_equal(floats({1}), whole, 0); }),
              HasSubstr("output 'y' is FP32 [1], but INT64 [1] is expected"));
  EXPECT_THAT(error_of([&] { check_equal(floats({1, 2}), floats({1}), 0); }),
              HasSubstr("FP32 [2], but FP32 [1]"));
  EXPECT_THAT(error_of([&] { check_equal({}, floats({1}), 0); }),
              HasSubstr("there is no output 'y'"));
  EXPECT_EQ(error_of([&] { check_equal(floats({1}), {}, 0); }), "");
}

}  // namespace
}  // namespace baozi::model
