#include "baozi/model/warmup_records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "baozi/base/error.h"

namespace baozi::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

WarmupSample sample(float value) {
  return {.inputs = {{"x", Tensor::of<float>({1, 2}, {value, 0})},
                     {"word", Tensor::of_strings({1}, {"bun"})}},
          .expected = {{"y", Tensor::of<std::int64_t>({1}, {7})}}};
}

std::string error_of(std::string_view bytes) {
  try {
    parse_warmup_records(bytes, "requests");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.message();
  }
  return "no error";
}

TEST(WarmupRecords, WhatIsWrittenIsRead) {
  const std::string bytes =
      format_warmup_record(sample(1), "m") + format_warmup_record(sample(2), "m");
  const std::vector<WarmupSample> samples = parse_warmup_records(bytes, "requests");
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_THAT(get_tensor(samples[1].inputs, "x").values<float>(), ElementsAre(2, 0));
  EXPECT_THAT(get_tensor(samples[1].inputs, "word").strings(), ElementsAre("bun"));
  EXPECT_THAT(get_tensor(samples[1].expected, "y").values<std::int64_t>(), ElementsAre(7));
  EXPECT_EQ(samples[1].from, "requests, record 2");
  EXPECT_EQ(samples[1].origin, SampleOrigin::kGiven);
}

// Made by TensorFlow's own definitions with Google's protobuf and CRC libraries:
// testdata/golden/tf_serving_warmup.py.
TEST(WarmupRecords, ReadsAFileThatOthersWrote) {
  const std::string file = BAOZI_SOURCE_DIR "/testdata/golden/tf_serving_warmup_requests";
  std::ifstream stream(file, std::ios::binary);
  ASSERT_TRUE(stream) << file;
  const std::string bytes((std::istreambuf_iterator<char>(stream)), {});
  const std::vector<WarmupSample> samples = parse_warmup_records(bytes, "requests");
  ASSERT_EQ(samples.size(), 2u) << "and a Classify log, which is left out";
  EXPECT_THAT(get_tensor(samples[0].inputs, "input").values<float>(), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(get_tensor(samples[0].expected, "output").values<float>(), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(get_tensor(samples[1].inputs, "input").shape(), (Shape{2, 4}));
  EXPECT_THAT(get_tensor(samples[1].inputs, "input").values<float>(), testing::Each(0.5f));
}

TEST(WarmupRecords, DamageIsFoundByTheChecksums) {
  const std::string bytes =
      format_warmup_record(sample(1), "m") + format_warmup_record(sample(2), "m");
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string wrong = bytes;
    wrong[at] = static_cast<char>(wrong[at] ^ 0x10);
    EXPECT_NE(error_of(wrong), "no error") << at;
  }
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    if (size == bytes.size() / 2) continue;  // one record, whole
    EXPECT_THAT(error_of(std::string_view(bytes).substr(0, size)),
                HasSubstr("ends in the middle of a record"))
        << size;
  }
  EXPECT_THAT(error_of(bytes.substr(1)), HasSubstr("requests, record 1: it is damaged"));
}

TEST(WarmupRecords, TooManyAreRefused) {
  std::string bytes;
  for (std::size_t i = 0; i <= kRecordsMax; ++i) bytes += format_warmup_record(sample(1), "m");
  EXPECT_THAT(error_of(bytes), HasSubstr("more than 1000 records"));
}

TEST(WarmupRecords, AnEmptyFileHasNone) { EXPECT_TRUE(parse_warmup_records("", "x").empty()); }

}  // namespace
}  // namespace baozi::model
