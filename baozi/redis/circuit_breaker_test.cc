#include "baozi/redis/circuit_breaker.h"

#include <gtest/gtest.h>

namespace baozi::redis {
namespace {

using namespace std::chrono_literals;
using State = CircuitBreaker::State;

const Time kStart{};
constexpr BreakerOptions kOptions{.failures_max = 3, .wait_min = 100ms, .wait_max = 500ms};

CircuitBreaker closed_one() {
  CircuitBreaker breaker(kOptions, kStart);
  breaker.take_probe(kStart);
  breaker.probed(true, kStart);
  return breaker;
}

TEST(CircuitBreaker, BeginsOpenAndProbesAtOnce) {
  CircuitBreaker breaker(kOptions, kStart);
  EXPECT_EQ(breaker.state(), State::kOpen);
  EXPECT_EQ(breaker.probe_at(), kStart);
  EXPECT_TRUE(breaker.take_probe(kStart));
  EXPECT_FALSE(breaker.take_probe(kStart)) << "one at a time";
  EXPECT_FALSE(breaker.closed());
  breaker.probed(true, kStart);
  EXPECT_TRUE(breaker.closed());
  EXPECT_EQ(breaker.probe_at(), kNever);
}

TEST(CircuitBreaker, OpensAfterFailuresInARow) {
  CircuitBreaker breaker = closed_one();
  EXPECT_FALSE(breaker.failed(kStart));
  EXPECT_FALSE(breaker.failed(kStart));
  breaker.succeeded();
  EXPECT_FALSE(breaker.failed(kStart));
  EXPECT_FALSE(breaker.failed(kStart));
  EXPECT_TRUE(breaker.failed(kStart));
  EXPECT_EQ(breaker.state(), State::kOpen);
  EXPECT_FALSE(breaker.failed(kStart)) << "it is open already";
}

TEST(CircuitBreaker, ABreakOpensItAtOnce) {
  CircuitBreaker breaker = closed_one();
  EXPECT_TRUE(breaker.broke(kStart));
  EXPECT_FALSE(breaker.broke(kStart));
  EXPECT_EQ(breaker.probe_at(), kStart + 100ms);
}

TEST(CircuitBreaker, WaitsTwiceAsLongAfterEachProbeThatFails) {
  CircuitBreaker breaker = closed_one();
  breaker.broke(kStart);
  Time now = kStart;
  for (const Duration wait : {100ms, 200ms, 400ms, 500ms, 500ms}) {
    EXPECT_EQ(breaker.probe_at(), now + wait);
    EXPECT_FALSE(breaker.take_probe(now + wait - 1ns));
    now += wait;
    EXPECT_TRUE(breaker.take_probe(now));
    breaker.probed(false, now);
  }
}

// What answers a probe and then nothing else is probed less and less.
TEST(CircuitBreaker, OnlyASuccessMakesTheWaitShortAgain) {
  CircuitBreaker breaker = closed_one();
  breaker.broke(kStart);
  EXPECT_TRUE(breaker.take_probe(kStart + 100ms));
  breaker.probed(true, kStart + 100ms);
  breaker.broke(kStart + 100ms);
  EXPECT_EQ(breaker.probe_at(), kStart + 300ms);
  EXPECT_TRUE(breaker.take_probe(kStart + 300ms));
  breaker.probed(true, kStart + 300ms);
  breaker.succeeded();
  breaker.broke(kStart + 300ms);
  EXPECT_EQ(breaker.probe_at(), kStart + 400ms);
}

TEST(CircuitBreaker, LateNewsOfBeforeItOpenedChangesNothing) {
  CircuitBreaker breaker = closed_one();
  breaker.broke(kStart);
  breaker.succeeded();
  breaker.probed(true, kStart);
  EXPECT_EQ(breaker.state(), State::kOpen);
  EXPECT_EQ(breaker.probe_at(), kStart + 100ms);
  breaker.take_probe(kStart + 100ms);
  EXPECT_FALSE(breaker.failed(kStart + 100ms));
  EXPECT_FALSE(breaker.broke(kStart + 100ms));
  EXPECT_EQ(breaker.state(), State::kProbing);
}

}  // namespace
}  // namespace baozi::redis
