#include "baozi/pipeline/admission.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>
#include <vector>

namespace baozi::pipeline {
namespace {

using namespace std::chrono_literals;

TEST(Gate, AdmitsUpToItsLimitsAndFreesThePlace) {
  Gate gate({.requests_max = 2, .bytes_max = 100});
  {
    const Admission first = gate.try_enter(60);
    EXPECT_TRUE(first.admitted());
    const Admission large = gate.try_enter(41);
    EXPECT_FALSE(large.admitted());
    EXPECT_NE(large.refusal().reason.find("bytes"), std::string_view::npos);
    EXPECT_GE(large.refusal().retry_after_s, 1);
    const Admission second = gate.try_enter(40);
    EXPECT_TRUE(second.admitted());
    const Admission third = gate.try_enter(0);
    EXPECT_FALSE(third.admitted());
    EXPECT_NE(third.refusal().reason.find("requests"), std::string_view::npos);
    EXPECT_EQ(gate.requests(), 2u);
  }
  EXPECT_EQ(gate.requests(), 0u);
  EXPECT_EQ(gate.bytes(), 0u);
}

TEST(Gate, ZeroMeansNoLimit) {
  Gate gate({});
  std::vector<Admission> admitted;
  for (int i = 0; i < 1000; ++i) admitted.push_back(gate.try_enter(1 << 20));
  for (const Admission& one : admitted) EXPECT_TRUE(one.admitted());
}

TEST(Gate, RefusalByTheInnerGateLeavesTheOuterUntouched) {
  Gate process({.requests_max = 10});
  Gate model({.requests_max = 1}, &process);
  Gate other({}, &process);
  const Admission first = model.try_enter(5);
  EXPECT_FALSE(model.try_enter(5).admitted());
  EXPECT_EQ(process.requests(), 1u);
  EXPECT_EQ(process.bytes(), 5u);
  const Admission second = other.try_enter(7);
  EXPECT_TRUE(second.admitted());
  EXPECT_EQ(process.requests(), 2u);
}

TEST(Gate, OuterLimitHoldsForAllInnerGates) {
  Gate process({.requests_max = 1});
  Gate a({}, &process);
  Gate b({}, &process);
  const Admission first = a.try_enter(0);
  EXPECT_FALSE(b.try_enter(0).admitted());
  EXPECT_EQ(b.requests(), 0u);
}

TEST(Gate, NeverAdmitsMoreThanItsLimitFromManyThreads) {
  Gate gate({.requests_max = 3});
  std::atomic<std::size_t> inside{0};
  std::atomic<bool> exceeded{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        const Admission admission = gate.try_enter(1);
        if (!admission.admitted()) continue;
        if (inside.fetch_add(1) >= 3) exceeded = true;
        inside.fetch_sub(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(exceeded);
  EXPECT_EQ(gate.requests(), 0u);
}

TEST(ServiceRate, EstimatesFromWhatWasDone) {
  ServiceRate rate;
  EXPECT_EQ(rate.seconds_for(1000), 1) << "nothing is known";
  Time now{1s};
  for (int i = 0; i < 400; ++i) rate.done(1, now += 10ms);  // 100 a second
  EXPECT_NEAR(rate.seconds_for(1000), 10, 1);
  EXPECT_EQ(rate.seconds_for(1), 1);
  EXPECT_EQ(rate.seconds_for(1'000'000), ServiceRate::kRetryAfterMax);
}

}  // namespace
}  // namespace baozi::pipeline
