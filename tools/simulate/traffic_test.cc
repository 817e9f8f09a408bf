// Traffic: the synthetic peaks are what they are called, and a recording is read or refused by
// line.
#include "tools/simulate/traffic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "baozi/base/error.h"

namespace baozi::simulate {
namespace {

using ::testing::StartsWith;

std::string refusal(std::string_view text) {
  try {
    parse_traffic(text, "f.csv");
  } catch (const Error& error) {
    return error.message();
  }
  return "parsed";
}

TEST(Traffic, StepWaveAndCrowdAreTenTenAndSixTimesTheirBase) {
  const Traffic step = step_traffic(100);
  EXPECT_DOUBLE_EQ(step.at(299), 100);
  EXPECT_DOUBLE_EQ(step.at(301), 1000);
  EXPECT_DOUBLE_EQ(step.at(2101), 100);
  const Traffic wave = wave_traffic(100);
  EXPECT_DOUBLE_EQ(wave.at(0), 100);
  EXPECT_DOUBLE_EQ(wave.at(12 * 3600), 1000);
  EXPECT_DOUBLE_EQ(wave.seconds(), 86'400);
  const Traffic crowd = crowd_traffic(100);
  EXPECT_DOUBLE_EQ(crowd.at(320), 600);
  EXPECT_NEAR(crowd.at(560), 350, 1);
}

TEST(Traffic, ARecordingCountsFromItsFirstLineAndIsStraightBetweenLines) {
  const Traffic traffic =
      parse_traffic("seconds,requests_per_second\r\n1000,10\r\n\n1010, 30\n1020,0\n", "f.csv");
  EXPECT_DOUBLE_EQ(traffic.at(-5), 10);
  EXPECT_DOUBLE_EQ(traffic.at(5), 20);
  EXPECT_DOUBLE_EQ(traffic.at(15), 15);
  EXPECT_DOUBLE_EQ(traffic.at(99), 0);
  EXPECT_DOUBLE_EQ(traffic.most(), 30);
}

TEST(Traffic, WhatIsWrongIsSaidWithItsLine) {
  const std::string head = "seconds,requests_per_second\n";
  EXPECT_THAT(refusal(""), StartsWith("f.csv:1: fewer than two points"));
  EXPECT_THAT(refusal("time,load\n"), StartsWith("f.csv:1: the first line must be"));
  EXPECT_THAT(refusal(head + "0,1\n"), StartsWith("f.csv:2: fewer than two points"));
  EXPECT_THAT(refusal(head + "0,1\n5 7\n"), StartsWith("f.csv:3: no comma"));
  EXPECT_THAT(refusal(head + "0,1\n5,x\n"), StartsWith("f.csv:3: requests_per_second is not"));
  EXPECT_THAT(refusal(head + "0,1\n5,-1\n"), StartsWith("f.csv:3: requests_per_second is not"));
  EXPECT_THAT(refusal(head + "0,1\n5,nan\n"), StartsWith("f.csv:3: requests_per_second is not"));
  EXPECT_THAT(refusal(head + "0,1\n5,1e9\n"), StartsWith("f.csv:3: requests_per_second is not"));
  EXPECT_THAT(refusal(head + "inf,1\n5,1\n"), StartsWith("f.csv:2: seconds is not"));
  EXPECT_THAT(refusal(head + "0,1,2\n5,1\n"), StartsWith("f.csv:2: requests_per_second is not"));
  EXPECT_THAT(refusal(head + "5,1\n5,2\n"), StartsWith("f.csv:3: seconds must rise"));
  EXPECT_THAT(refusal(head + "0,1\n604801,2\n"), StartsWith("f.csv:3: more than seven days"));
  std::string long_one = head;
  for (int line = 0; line < kTrafficLinesMax; ++line) long_one += "\n";
  EXPECT_THAT(refusal(long_one), StartsWith("f.csv:1000001: more than 1000000 lines"));
}

}  // namespace
}  // namespace baozi::simulate
