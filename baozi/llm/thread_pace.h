// ThreadPace: how many threads compute a step, from how long steps took. All threads of a step wait
// for each other at every layer; one that shares its processor with another process holds up the
// others, so that two busy neighbours on two processors make two threads several times slower than
// one. While steps get the processor time they ask for, nothing is tried; when they do not, one
// thread less (or one more) is, and the quicker number is kept.
//
//   context.use_threads(pace.threads());   decode …   pace.took(answers, time, cpu, now);
//
// Thread safety: none. Pure, but for processor_time.
#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "baozi/base/clock.h"

namespace baozi::llm {

// Of all threads of the process so far.
inline Duration processor_time() noexcept {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

class ThreadPace {
 public:
  explicit ThreadPace(int threads_max)
      : threads_max_(std::max(threads_max, 1)), threads_(threads_max_) {
    times_.reserve(kTrial);
  }

  int threads() const noexcept { return trying_ != 0 ? trying_ : threads_; }

  // A step of `answers` next tokens, and nothing else, took `time` and ended at `now`; the process
  // was given `cpu` of processor time meanwhile.
  void took(int answers, Duration time, Duration cpu, Time now);

 private:
  static constexpr std::size_t kTrial = 5;  // steps a number is judged by, their median
  static constexpr double kEnough = 0.85;   // of the processor time that all threads could use
  static constexpr double kBetter = 0.95;   // another number has to be
  static constexpr Duration kPauseMin = std::chrono::milliseconds(500);
  static constexpr Duration kPauseMax = std::chrono::seconds(8);

  void forget(int answers);
  void judge(double median, bool starved, Time now);
  int neighbour() noexcept;

  const int threads_max_;
  int threads_;       // that compute now
  int trying_ = 0;    // instead, for a trial; 0: none
  bool down_ = true;  // which neighbour is tried next
  int answers_ = 0;   // of the steps that are compared
  double usual_ = 0;  // seconds; the latest median with threads_
  double time_ = 0;   // seconds of the present steps, and of their processors
  double cpu_ = 0;
  Time next_trial_{};
  Duration pause_ = kPauseMin;
  std::vector<double> times_;  // seconds, of the present number
};

inline void ThreadPace::forget(int answers) {
  answers_ = answers;
  trying_ = 0;
  usual_ = time_ = cpu_ = 0;
  times_.clear();
}

inline void ThreadPace::took(int answers, Duration time, Duration cpu, Time now) {
  if (threads_max_ == 1) return;
  if (answers != answers_) forget(answers);
  times_.push_back(std::chrono::duration<double>(time).count());
  time_ += times_.back();
  cpu_ += std::chrono::duration<double>(cpu).count();
  if (times_.size() < kTrial) return;
  std::ranges::nth_element(times_, times_.begin() + kTrial / 2);
  const double median = times_[kTrial / 2];
  const bool starved = cpu_ < kEnough * time_ * threads();
  times_.clear();
  time_ = cpu_ = 0;
  judge(median, starved, now);
}

inline void ThreadPace::judge(double median, bool starved, Time now) {
  if (trying_ != 0) {
    if (median < usual_ * kBetter) {
      threads_ = trying_;
      usual_ = median;
      pause_ = kPauseMin;
    } else {
      pause_ = std::min(2 * pause_, kPauseMax);
    }
    trying_ = 0;
    next_trial_ = now + pause_;
    return;
  }
  usual_ = median;
  if (threads_ == threads_max_ && !starved) return;
  if (now >= next_trial_) trying_ = neighbour();
}

inline int ThreadPace::neighbour() noexcept {
  if (threads_ == threads_max_) down_ = true;
  if (threads_ == 1) down_ = false;
  const int number = threads_ + (down_ ? -1 : 1);
  down_ = !down_;
  return number;
}

}  // namespace baozi::llm
