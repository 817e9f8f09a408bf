#include "baozi/api/kserve_samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baozi/base/error.h"

namespace baozi::api {
namespace {

using model::WarmupSample;
using testing::ElementsAre;
using testing::HasSubstr;

std::string error_of(std::string text) {
  try {
    parse_kserve_samples(std::move(text), "tea.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.message();
  }
  return "no error";
}

std::string request(int value) {
  return R"({"inputs": [{"name": "x", "datatype": "INT32", "shape": [1], "data": [)" +
         std::to_string(value) + "]}]}";
}

std::vector<int> values_of(const std::vector<WarmupSample>& samples) {
  std::vector<int> values;
  for (const WarmupSample& sample : samples)
    values.push_back(get_tensor(sample.inputs, "x").values<std::int32_t>()[0]);
  return values;
}

TEST(KserveSamples, OneAListAndOneALineAreRead) {
  EXPECT_THAT(values_of(parse_kserve_samples(request(7), "a")), ElementsAre(7));
  EXPECT_THAT(values_of(parse_kserve_samples(" [" + request(7) + ",\n" + request(8) + "]\n", "a")),
              ElementsAre(7, 8));
  EXPECT_THAT(values_of(parse_kserve_samples(request(7) + "\n\n" + request(8) + "\r\n", "a")),
              ElementsAre(7, 8));
}

TEST(KserveSamples, APrettyPrintedRequestIsOne) {
  const std::string pretty = R"({
  "inputs": [
    {
      "name": "x", "datatype": "INT32",
      "shape": [1], "data": [7]
    }
  ]
})";
  EXPECT_THAT(values_of(parse_kserve_samples(pretty, "a")), ElementsAre(7));
}

TEST(KserveSamples, TheyAreNamedByFileAndNumber) {
  const auto samples = parse_kserve_samples("[" + request(7) + "," + request(8) + "]", "tea.json");
  EXPECT_EQ(samples[1].from, "tea.json, sample 2");
  EXPECT_EQ(samples[1].origin, model::SampleOrigin::kGiven);
  EXPECT_TRUE(samples[1].expected.empty());
}

TEST(KserveSamples, AKnownAnswerStandsBesideItsRequest) {
  const auto samples = parse_kserve_samples(
      R"({"request": )" + request(7) +
          R"(, "response": {"model_name": "m", "outputs": [{"name": "y", "datatype": "FP32",
           "shape": [1, 2], "data": [0.5, 1]}]}})",
      "a");
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_THAT(values_of(samples), ElementsAre(7));
  const Tensor& y = get_tensor(samples[0].expected, "y");
  EXPECT_EQ(y.shape(), (Shape{1, 2}));
  EXPECT_THAT(y.values<float>(), ElementsAre(0.5f, 1.0f));
}

TEST(KserveSamples, WhatIsWrongNamesTheFileAndTheSample) {
  EXPECT_THAT(error_of("["), HasSubstr("tea.json, sample 1: "));
  EXPECT_THAT(error_of("[" + request(1) + R"(, {"inputs": [{"name": "x"}]}])"),
              HasSubstr("tea.json, sample 2: input 'x' has no 'datatype'"));
  EXPECT_THAT(error_of("7"), HasSubstr("tea.json, sample 1: "));
  EXPECT_THAT(error_of(R"({"response": {"outputs": []}})"), HasSubstr("no 'request'"));
  EXPECT_THAT(error_of(R"({"request": )" + request(1) + R"(, "response": {"outputs": []}})"),
              HasSubstr("in its response, there are no 'outputs'"));
  EXPECT_THAT(error_of(R"({"request": 7})"), HasSubstr("'request' must be an object"));
}

TEST(KserveSamples, TooManyAreRefused) {
  std::string list = "[" + request(1);
  for (std::size_t i = 0; i < kSamplesMax; ++i) list += "," + request(1);
  EXPECT_THAT(error_of(list + "]"), HasSubstr("more than 1000 samples"));
  std::string lines;
  for (std::size_t i = 0; i <= kSamplesMax; ++i) lines += request(1) + "\n";
  EXPECT_THAT(error_of(lines), HasSubstr("more than 1000 samples"));
}

TEST(KserveSamples, AnEmptyListHasNone) { EXPECT_TRUE(parse_kserve_samples("[]", "a").empty()); }

}  // namespace
}  // namespace baozi::api
