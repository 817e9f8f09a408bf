#include "baozi/pipeline/elasticity.h"

#include <algorithm>
#include <cassert>

namespace baozi::pipeline {
namespace {

// Of the time all instances run; between two batches they do not.
constexpr double kBusyShare = 0.9;
// Requests that wait on average: of two callers in turn at one instance, one nearly always waits.
constexpr double kQueued = 0.5;
// Of what an instance more could bring at best.
constexpr double kGainShare = 0.5;
constexpr Duration kMeasuredWithin = std::chrono::seconds(10);
constexpr Duration kJudgedWithin = 2 * kMeasuredWithin;
constexpr Duration kShrinkLookMin = std::chrono::milliseconds(10);

// Runs by which a rate is known. Of N instances N may end at once, so that it is wrong by N / runs,
// and one more brings 1 / N of it at best.
std::uint64_t runs_to_measure(int instances) noexcept {
  const auto count = static_cast<std::uint64_t>(instances);
  return 4 * count * count;
}

}  // namespace

Elasticity::Elasticity(const ElasticityOptions& options)
    : options_(options), used_(static_cast<std::size_t>(options.max) + 1, Time::min()) {
  assert(options.min >= 1 && options.min <= options.max);
}

bool Elasticity::pressed_long_enough(Time now) const noexcept {
  return pressure_.since != kNever && now - pressure_.since >= options_.grow_after;
}

bool Elasticity::is_measured(const Load& load, int instances, Time now) const noexcept {
  return load.runs - pressure_.runs >= runs_to_measure(instances) ||
         now - pressure_.since >= kMeasuredWithin;
}

double Elasticity::rate(const Load& load, Time now) const noexcept {
  const double span = std::chrono::duration<double>(now - pressure_.since).count();
  return span > 0 ? static_cast<double>(load.rows - pressure_.rows) / span : 0;
}

void Elasticity::note(const Load& load, Time now) {
  if (now < now_) {
    // The clock was set back. What lies ahead of it now would stay true for too long.
    for (Time& used : used_) used = std::min(used, now);
    pressure_ = {};
    verdict_ = {};
    paused_until_ = std::min(paused_until_, now + pause_);
  }
  now_ = now;
  const int peak = std::clamp(load.busy_peak, 0, options_.max);
  for (int count = 0; count <= peak; ++count) used_[static_cast<std::size_t>(count)] = now;
  const bool pressed = load.queued >= kQueued && load.busy >= kBusyShare * load.instances;
  if (!pressed) {
    pressure_ = {};
  } else if (pressure_.since == kNever) {
    pressure_ = {.since = now, .rows = load.rows, .runs = load.runs};
  }
}

// After a time of pressure that began with the newest instance at work.
void Elasticity::judge(const Load& load, Time now) {
  if (now > verdict_.until || load.instances != verdict_.instances + 1) verdict_.due = false;
  if (!verdict_.due || !is_measured(load, verdict_.instances, now)) return;
  verdict_.due = false;
  const double least = verdict_.rate * (1 + kGainShare / verdict_.instances);
  if (rate(load, now) >= least) {
    pause_ = kPauseMin;
    return;
  }
  paused_until_ = now + pause_;
  pause_ = std::min(2 * pause_, kPauseMax);
}

Elasticity::Decision Elasticity::decide(const Load& load, const Memory& memory, Time now) {
  note(load, now);
  Decision decision;
  if (making_) return decision;
  if (load.instances > options_.min) {
    const auto last = static_cast<std::size_t>(std::min(load.instances, options_.max));
    if (used_[last] <= now - options_.shrink_after) {
      decision.step = Step::kShrink;
      decision.look_at = now + kShrinkLookMin;
      return decision;
    }
    decision.look_at = now + std::max(options_.shrink_after / 4, kShrinkLookMin);
  }
  if (load.instances >= options_.max || load.queued <= 0) return decision;
  if (pressed_long_enough(now)) judge(load, now);
  if (now < paused_until_) {
    decision.look_at = std::min(decision.look_at, paused_until_);
    return decision;
  }
  decision.look_at = std::min(decision.look_at, now + kLook);
  if (!pressed_long_enough(now) || verdict_.due) return decision;
  if (memory.free < memory.instance) {
    decision.short_of_memory = true;
    decision.look_at = now + kMemoryLook;
    return decision;
  }
  // Where a run takes so long that there are hardly any, it grows without a measure.
  const bool known = load.runs - pressure_.runs >= 2 * static_cast<std::uint64_t>(load.instances);
  if (known && !is_measured(load, load.instances, now)) return decision;
  verdict_ = {.due = known, .rate = rate(load, now), .instances = load.instances};
  making_ = true;
  decision.step = Step::kGrow;
  return decision;
}

void Elasticity::grown(Time now) {
  making_ = false;
  back_off_ = kBackOffMin;
  pressure_ = {};
  verdict_.until = now + kJudgedWithin;
  // As if all were busy: the new one stays for a while.
  std::ranges::fill(used_, now);
}

void Elasticity::failed(Time now) {
  making_ = false;
  verdict_ = {};
  pressure_ = {};
  paused_until_ = now + back_off_;
  back_off_ = std::min(2 * back_off_, kBackOffMax);
}

}  // namespace baozi::pipeline
