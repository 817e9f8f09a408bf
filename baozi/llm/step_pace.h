// StepPace: how many tokens of prompts a step may read while others wait for their next token, from
// how long the past steps took.
//
// Thread safety: none. Pure.
#pragma once

#include <algorithm>
#include <chrono>

#include "baozi/base/clock.h"

namespace baozi::llm {

class StepPace {
 public:
  // `stall`: what prompts may add to a step while somebody answers.
  explicit StepPace(Duration stall) noexcept : stall_(stall) {}

  // A step of `answers` next tokens and `prompt` tokens of prompts took `time`.
  void took(int answers, int prompt, Duration time) noexcept {
    const double seconds = std::chrono::duration<double>(time).count();
    if (prompt == 0) {
      if (answers > 0) smooth(answer_step_, seconds);
    } else if (prompt >= kMin) {
      const double rest = answers > 0 ? std::max(seconds - answer_step_, seconds / 10) : seconds;
      smooth(prompt_token_, rest / prompt);
    }
  }

  int prompt_tokens() const noexcept {
    if (prompt_token_ == 0) return kFirst;
    const double seconds = std::chrono::duration<double>(stall_).count();
    return static_cast<int>(std::clamp<double>(seconds / prompt_token_, kMin, kMax));
  }

 private:
  static constexpr int kFirst = 64;  // before anything is known
  static constexpr int kMin = 16;    // fewer cost a step of their own for little
  static constexpr int kMax = 1 << 20;
  static constexpr double kNew = 0.25;  // the share of the latest in what is remembered

  static void smooth(double& known, double latest) noexcept {
    known = known == 0 ? latest : known + kNew * (latest - known);
  }

  const Duration stall_;
  double answer_step_ = 0;   // seconds a step of answers only
  double prompt_token_ = 0;  // seconds a token more
};

}  // namespace baozi::llm
