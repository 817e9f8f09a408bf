// StepPace and ThreadPace: what they decide from how long steps took.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>

#include "baozi/llm/step_pace.h"
#include "baozi/llm/thread_pace.h"

namespace baozi::llm {
namespace {

using namespace std::chrono_literals;

TEST(StepPace, APromptsPieceFitsTheStall) {
  StepPace pace(100ms);
  for (int i = 0; i < 20; ++i) pace.took(0, 500, 1s);  // 2 ms a token
  EXPECT_NEAR(pace.prompt_tokens(), 50, 1);
  for (int i = 0; i < 20; ++i) pace.took(4, 0, 40ms);
  for (int i = 0; i < 40; ++i) pace.took(4, 50, 90ms);  // 1 ms a token beside four answers
  EXPECT_NEAR(pace.prompt_tokens(), 100, 2);
}

TEST(StepPace, APieceIsNeverTooSmallToEnd) {
  StepPace pace(1ms);
  for (int i = 0; i < 20; ++i) pace.took(0, 500, 10s);
  EXPECT_EQ(pace.prompt_tokens(), 16);
}

TEST(StepPace, WithoutExperienceAPieceIsSmall) { EXPECT_EQ(StepPace(100ms).prompt_tokens(), 64); }

class ThreadPaceTest : public testing::Test {
 protected:
  struct Step {
    Duration time;
    Duration cpu;
  };
  // Steps for so long, of which each takes what `step_with` says of the number of threads.
  template <class StepWith>
  void run(ThreadPace& pace, Duration span, StepWith step_with) {
    for (const Time end = now_ + span; now_ < end;) {
      const Step step = step_with(pace.threads());
      now_ += step.time;
      steps_with_[static_cast<std::size_t>(pace.threads())] += 1;
      pace.took(1, step.time, step.cpu, now_);
    }
  }
  static Step quiet(int threads) { return {40ms / threads, 40ms}; }
  // Two neighbours on two processors.
  static Step busy(int threads) { return threads == 1 ? Step{60ms, 40ms} : Step{120ms, 120ms}; }

  Time now_{};
  std::array<int, 9> steps_with_{};
};

TEST_F(ThreadPaceTest, StepsThatGetTheirTimeAreLeftAlone) {
  ThreadPace pace(4);
  run(pace, 60s, quiet);
  EXPECT_EQ(steps_with_[3], 0);
}

TEST_F(ThreadPaceTest, BusyNeighboursCostAThread) {
  ThreadPace pace(2);
  run(pace, 2s, busy);
  EXPECT_EQ(pace.threads(), 1);
  steps_with_ = {};
  run(pace, 60s, busy);
  EXPECT_GT(steps_with_[1], 10 * steps_with_[2]) << "the others are tried rarely";
}

TEST_F(ThreadPaceTest, WhenTheyGoItComesBack) {
  ThreadPace pace(2);
  run(pace, 20s, busy);
  run(pace, 10s, quiet);
  EXPECT_EQ(pace.threads(), 2);
}

TEST_F(ThreadPaceTest, SeveralThreadsMayGo) {
  ThreadPace pace(4);
  run(pace, 60s, [](int threads) {
    return threads > 2 ? Step{100ms * threads, 100ms} : Step{80ms / threads, 80ms};
  });
  EXPECT_EQ(pace.threads(), 2);
}

TEST_F(ThreadPaceTest, OneThreadIsOne) {
  ThreadPace pace(1);
  run(pace, 5s, busy);
  EXPECT_EQ(pace.threads(), 1);
}

}  // namespace
}  // namespace baozi::llm
