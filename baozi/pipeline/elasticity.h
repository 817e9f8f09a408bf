// Elasticity: when a model gets an instance more, and when one less. A pure core: no clock, thread,
// coroutine or log; InstanceScaler drives it.
//
//   Elasticity elasticity({.min = 1, .max = 4});
//   const Elasticity::Decision decision = elasticity.decide(load, memory, now);
//   // kGrow: make one, then say grown() or failed(); kShrink: end one. Look again at look_at.
//
// It grows when for grow_after on end all instances were busy and somebody waited, one at a time.
// It shrinks when the last instance was not needed even for a moment in shrink_after. So load that
// comes and goes faster than that leaves it as it is. An instance that brought no throughput (the
// cores are used up, or larger batches were as good) is the last for a while.
//
// Thread safety: by its owner.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "baozi/base/clock.h"
#include "baozi/pipeline/load_meter.h"

namespace baozi::pipeline {

struct ElasticityOptions {
  int min = 1;
  int max = 1;
  Duration grow_after = std::chrono::milliseconds(200);
  Duration shrink_after = std::chrono::seconds(30);
};

class Elasticity {
 public:
  static constexpr Duration kLook = std::chrono::milliseconds(50);  // while somebody waits
  static constexpr Duration kMemoryLook = std::chrono::seconds(1);
  static constexpr Duration kPauseMin = std::chrono::minutes(1);  // after one that brought nothing
  static constexpr Duration kPauseMax = std::chrono::hours(1);
  static constexpr Duration kBackOffMin = std::chrono::seconds(5);  // after one that failed
  static constexpr Duration kBackOffMax = std::chrono::minutes(5);

  enum class Step : std::uint8_t { kStay, kGrow, kShrink };
  struct Decision {
    Step step = Step::kStay;
    Time look_at = kNever;         // at the latest; and, when nobody waits, once somebody does
    bool short_of_memory = false;  // else it would grow
  };
  struct Memory {
    std::size_t free = SIZE_MAX;  // bytes of the budget
    std::size_t instance = 0;     // bytes that one more takes
  };

  // Preconditions: 1 <= min <= max.
  explicit Elasticity(const ElasticityOptions& options);

  Decision decide(const Load& load, const Memory& memory, Time now);
  // The instance that kGrow asked for works. Until one of these two is said it asks for no other.
  void grown(Time now);
  void failed(Time now);

 private:
  // Somebody waited and no instance was idle: since when, and what had been done by then.
  struct Pressure {
    Time since = kNever;
    std::uint64_t rows = 0;
    std::uint64_t runs = 0;
  };
  // What a new instance is measured by.
  struct Verdict {
    bool due = false;
    double rate = 0;  // rows a second without it
    int instances = 0;
    Time until = kNever;  // later it would say nothing
  };

  void note(const Load& load, Time now);
  void judge(const Load& load, Time now);
  bool is_measured(const Load& load, int instances, Time now) const noexcept;
  bool pressed_long_enough(Time now) const noexcept;
  double rate(const Load& load, Time now) const noexcept;

  const ElasticityOptions options_;
  std::vector<Time> used_;  // when so many instances were last busy at once, by count
  Pressure pressure_;
  Verdict verdict_;
  bool making_ = false;
  Time paused_until_ = Time::min();
  Duration pause_ = kPauseMin;
  Duration back_off_ = kBackOffMin;
  Time now_ = Time::min();
};

}  // namespace baozi::pipeline
