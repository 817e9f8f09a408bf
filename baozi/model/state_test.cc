#include "baozi/model/state.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace baozi::model {
namespace {

using enum State;

constexpr std::array kAll = {kAbsent, kOpening,  kLoading,  kWarming,
                             kReady,  kDraining, kUnloaded, kFailed};

TEST(State, TheWayFromAFileToAnswersAndBack) {
  constexpr std::array kWay = {kAbsent, kOpening,  kLoading,  kWarming,
                               kReady,  kDraining, kUnloaded, kOpening};
  for (std::size_t i = 0; i + 1 < kWay.size(); ++i)
    EXPECT_TRUE(may_move(kWay[i], kWay[i + 1])) << state_name(kWay[i]);
}

TEST(State, WhatServesIsNeverCutOff) {
  for (const State to : kAll) EXPECT_EQ(may_move(kReady, to), to == kDraining) << state_name(to);
  for (const State to : kAll) EXPECT_EQ(may_move(kDraining, to), to == kUnloaded) << state_name(to);
}

TEST(State, WhateverIsOnItsWayMayFailOrBeGivenUpAndBeTriedAgain) {
  for (const State from : kAll) {
    EXPECT_EQ(may_move(from, kFailed), is_coming(from)) << state_name(from);
    EXPECT_FALSE(may_move(from, from)) << state_name(from);
  }
  EXPECT_TRUE(may_move(kFailed, kOpening));
  EXPECT_TRUE(may_move(kFailed, kUnloaded));
}

// From each to each other in some steps: no state is a trap.
TEST(State, EveryStateIsReachedFromEveryOther) {
  for (const State from : kAll) {
    std::set<State> reached = {from};
    for (std::size_t i = 0; i < kAll.size(); ++i) {
      for (const State a : std::set(reached)) {
        for (const State b : kAll) {
          if (may_move(a, b)) reached.insert(b);
        }
      }
    }
    EXPECT_EQ(reached.size(), kAll.size()) << state_name(from);
  }
}

}  // namespace
}  // namespace baozi::model
