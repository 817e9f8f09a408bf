#include "baozi/keeper/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "baozi/base/error.h"

namespace baozi::keeper {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(SplitCommand, WordsAreSplitAtSpaces) {
  EXPECT_THAT(split_command("  nginx -t\t-c  /etc/nginx/nginx.conf "),
              ElementsAre("nginx", "-t", "-c", "/etc/nginx/nginx.conf"));
}

TEST(SplitCommand, WhatAShellWouldActOnIsRefused) {
  for (const char* text : {"", "  ", "nginx -t; rm x", "nginx -t 2>&1", "echo $HOME", "echo `id`",
                           "sh -c 'x'", "a | b", "a\nb", "a *", "a \\"})
    EXPECT_THROW(split_command(text), Error) << text;
  std::string many;
  for (int i = 0; i < 65; ++i) many += "a ";
  EXPECT_THROW(split_command(many), Error);
}

TEST(RunCommand, WhatEndsWithZeroIsWell) {
  const Outcome outcome = run_command({"echo", "a", "b\033"}, 10s);
  EXPECT_TRUE(outcome.ok);
  EXPECT_EQ(outcome.said, "a b?");
}

TEST(RunCommand, WhatFailsSaysWhy) {
  const Outcome outcome = run_command({"sh", "-c", "echo no room >&2; exit 3"}, 10s);
  EXPECT_FALSE(outcome.ok);
  EXPECT_EQ(outcome.said, "'sh' ended with status 3: no room");
  EXPECT_THAT(run_command({"sh", "-c", "kill -9 $$"}, 10s).said, HasSubstr("signal 9"));
}

TEST(RunCommand, WhatDoesNotExistSaysSo) {
  const Outcome outcome = run_command({"/nowhere/nginx", "-t"}, 10s);
  EXPECT_FALSE(outcome.ok);
  EXPECT_THAT(outcome.said, HasSubstr("'/nowhere/nginx' cannot be run: No such file"));
}

TEST(RunCommand, WhatHangsIsKilledWithWhatItStarted) {
  const Time start = Clock::now();
  const Outcome outcome = run_command({"sh", "-c", "echo asleep; sleep 60; true"}, 200ms);
  EXPECT_FALSE(outcome.ok);
  EXPECT_THAT(outcome.said, HasSubstr("took too long and was killed: asleep"));
  EXPECT_LT(Clock::now() - start, 30s);
}

TEST(RunCommand, WhatLeavesAChildWithItsOutputIsNotWaitedForLonger) {
  const Time start = Clock::now();
  EXPECT_TRUE(run_command({"sh", "-c", "sleep 5 & true"}, 20s).ok);
  EXPECT_LT(Clock::now() - start, 4s);
}

TEST(RunCommand, OfALotOnlyTheLastIsKept) {
  const Outcome outcome = run_command({"sh", "-c", "seq 1 100000; echo end"}, 60s);
  EXPECT_TRUE(outcome.ok);
  EXPECT_LE(outcome.said.size(), kSaidBytesMax);
  EXPECT_TRUE(outcome.said.ends_with("100000\nend"));
}

}  // namespace
}  // namespace baozi::keeper
