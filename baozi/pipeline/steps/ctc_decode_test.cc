#include "baozi/pipeline/steps/ctc_decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "baozi/base/error.h"

namespace baozi::pipeline {
namespace {

constexpr std::size_t kClasses =
    40;  // more than two vector lanes' worth, and not a multiple of them

CtcDictionary dictionary() {
  std::string lines;
  for (std::size_t i = 1; i + 1 < kClasses; ++i)
    lines += i == 38 ? "文\n" : std::string(1, static_cast<char>('a' + i % 26 - 1)) + "\n";
  return CtcDictionary(lines);
}

// Each step has `probability` at its class and less elsewhere.
Tensor steps(const std::vector<std::pair<std::size_t, float>>& best) {
  std::vector<float> values(best.size() * kClasses, 0.001f);
  for (std::size_t t = 0; t < best.size(); ++t)
    values[t * kClasses + best[t].first] = best[t].second;
  return Tensor::of<float>({1, static_cast<std::int64_t>(best.size()), kClasses},
                           std::span<const float>(values));
}

TEST(CtcDecode, MergesRepeatsAndDropsBlanks) {
  const auto texts =
      ctc_decode(steps({{0, 0.9f}, {1, 0.8f}, {1, 0.2f}, {0, 0.9f}, {1, 0.6f}, {2, 0.4f}, {0, 1}}),
                 dictionary());
  ASSERT_EQ(texts.size(), 1u);
  EXPECT_EQ(texts[0].text, "aab");
  EXPECT_NEAR(texts[0].score, (0.8 + 0.6 + 0.4) / 3, 1e-6)
      << "the first of a run counts, as in rapidocr";
}

TEST(CtcDecode, TheLastClassIsASpaceAndCharactersMayBeWide) {
  EXPECT_EQ(ctc_decode(steps({{38, 0.9f}, {39, 0.9f}, {1, 0.9f}}), dictionary())[0].text, "文 a");
}

TEST(CtcDecode, OnlyBlanksAreAnEmptyTextWithScoreZero) {
  const auto texts = ctc_decode(steps({{0, 0.9f}, {0, 0.9f}}), dictionary());
  EXPECT_EQ(texts[0].text, "");
  EXPECT_EQ(texts[0].score, 0);
}

TEST(CtcDecode, EqualProbabilitiesTakeTheFirstClass) {
  Tensor equal = steps({{0, 0.001f}});
  EXPECT_EQ(ctc_decode(equal, dictionary())[0].text, "") << "all equal: class 0, the blank";
  equal.mutable_values<float>()[7] = equal.mutable_values<float>()[30] = 0.5f;
  EXPECT_EQ(ctc_decode(equal, dictionary())[0].text, "g");
}

TEST(CtcDecode, EveryRowIsDecoded) {
  const Tensor one = steps({{1, 0.9f}, {2, 0.9f}});
  EXPECT_EQ(ctc_decode(one.reshaped({2, 1, kClasses}), dictionary()).at(1).text, "b");
}

TEST(CtcDecode, NotFiniteIsTheModelsFaultWhereverItStands) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const std::size_t at : {0, 5, 31, 32, 39}) {
      Tensor values = steps({{0, 0.9f}, {1, 0.9f}});
      values.mutable_values<float>()[kClasses + at] = bad;
      try {
        ctc_decode(values, dictionary());
        FAIL() << "no error";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::kInternal);
        EXPECT_THAT(error.message(), testing::HasSubstr("step 1"));
      }
    }
  }
}

TEST(CtcDecode, RefusesADictionaryOfAnotherModel) {
  EXPECT_THROW(ctc_decode(steps({{1, 1.0f}}), CtcDictionary("a\nb\n")), Error);
  EXPECT_THROW(ctc_decode(Tensor::of<float>({1, 2}, {1, 2}), dictionary()), Error);
}

TEST(CtcDictionary, ReadsLinesWithOrWithoutCarriageReturns) {
  const CtcDictionary dictionary("a\r\nbc\n文");
  EXPECT_EQ(dictionary.classes(), 5u);
  EXPECT_EQ(dictionary[1], "a");
  EXPECT_EQ(dictionary[2], "bc");
  EXPECT_EQ(dictionary[3], "文");
  EXPECT_EQ(dictionary[4], " ");
  EXPECT_THROW(CtcDictionary(""), Error);
}

}  // namespace
}  // namespace baozi::pipeline
