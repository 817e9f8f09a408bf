#include "baozi/fleet/warmth_report.h"

#include <gtest/gtest.h>

#include <string>

#include "baozi/base/error.h"

namespace baozi::fleet {
namespace {

constexpr std::string_view kRecord =
    R"({"state":"starting","warmth":0.420,"seconds_left":1.25,"queue":3,"in_flight":5,)"
    R"("utilisation":0.810})";

std::string with(std::string_view field, std::string_view value) {
  std::string text(kRecord);
  const std::size_t begin = text.find(':', text.find(field)) + 1;
  return text.replace(begin, text.find_first_of(",}", begin) - begin, value);
}

TEST(WarmthReport, WhatIsWrittenIsReadBack) {
  for (const ReplicaState state :
       {ReplicaState::kStarting, ReplicaState::kReady, ReplicaState::kDegraded,
        ReplicaState::kFailed, ReplicaState::kDraining}) {
    for (const double seconds : {-1.0, 0.0, 1.25}) {
      const Warmth written{state, 0.42, seconds, 3, 5, 0.81};
      const Warmth read = parse_warmth(format_warmth(written));
      EXPECT_EQ(read.state, state);
      EXPECT_EQ(read.warmth, 0.42);
      EXPECT_EQ(read.seconds_left, seconds);
      EXPECT_EQ(read.queue, 3);
      EXPECT_EQ(read.in_flight, 5);
      EXPECT_EQ(read.utilisation, 0.81);
    }
  }
}

TEST(WarmthReport, FieldsOfALaterVersionAreIgnored) {
  const std::string text = R"({"kitchen":{"ovens":[1,2]},)" + std::string(kRecord.substr(1)) + "\n";
  EXPECT_EQ(parse_warmth(text).queue, 3);
}

TEST(WarmthReport, WhatIsNoRecordIsRefused) {
  const std::string deep = std::string(1000, '[') + std::string(1000, ']');
  const std::string long_text = std::string(kRecord) + std::string(kWarmthBytesMax, ' ');
  for (const std::string& text : {std::string(),
                                  std::string("{}"),
                                  std::string("[]"),
                                  std::string("1"),
                                  std::string("ready"),
                                  std::string(kRecord.substr(0, 40)),
                                  std::string(kRecord) + "}",
                                  with("state", "\"hot\""),
                                  with("state", "1"),
                                  with("warmth", "1.1"),
                                  with("warmth", "-0.1"),
                                  with("warmth", "null"),
                                  with("warmth", "\"1\""),
                                  with("seconds_left", "-1"),
                                  with("seconds_left", "1e10"),
                                  with("queue", "-1"),
                                  with("queue", "1.5"),
                                  with("queue", "2147483648"),
                                  with("in_flight", "null"),
                                  with("utilisation", "1e300"),
                                  with("utilisation", "NaN"),
                                  std::string("\xff\xfe"),
                                  deep,
                                  long_text})
    EXPECT_THROW(parse_warmth(text), Error) << text;
  EXPECT_THROW(parse_warmth(std::string(100 << 20, '{')), Error);
}

}  // namespace
}  // namespace baozi::fleet
