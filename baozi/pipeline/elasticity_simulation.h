// A model under a virtual clock: callers, instances that serve one request each at a time on so
// many cores, and the core of elasticity.h, which is asked as InstanceScaler asks it. Checks what
// must always hold. For the tests and the fuzz entry.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "baozi/pipeline/elasticity.h"

namespace baozi::pipeline {

struct ElasticityScene {
  ElasticityOptions options;
  Duration service = std::chrono::milliseconds(50);  // of one request, with a core of its own
  int cores = 64;
  Duration making = std::chrono::milliseconds(100);
  std::size_t memory_free = SIZE_MAX;
  std::size_t instance_bytes = 0;
  std::function<bool(int)> fails = {};  // whether the n-th instance that is made fails
};

class ElasticitySimulation {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(1);

  explicit ElasticitySimulation(ElasticityScene scene)
      : scene_(std::move(scene)), core_(scene_.options), instances_(scene_.options.min) {}

  // For so long there are always `callers` requests that wait or run.
  void run(Duration span, int callers) {
    for (const Time end = now_ + span; now_ < end && broken_.empty(); now_ += kTick) {
      while (static_cast<int>(left_.size()) + waiting_ < callers) ++waiting_;
      tick();
    }
  }
  // So many more requests come at once.
  void arrive(int requests) { waiting_ += requests; }
  void jump(Duration by) { now_ += by; }
  void free_memory(std::size_t bytes) { scene_.memory_free = bytes; }

  int instances() const noexcept { return instances_; }
  std::uint64_t served() const noexcept { return served_; }
  int looks() const noexcept { return looks_; }
  // How often it changed its mind.
  int grown() const noexcept { return grown_; }
  int shrunk() const noexcept { return shrunk_; }
  int tried() const noexcept { return tried_; }
  bool was_short_of_memory() const noexcept { return short_of_memory_; }
  const std::string& broken() const noexcept { return broken_; }

 private:
  void tick() {
    // Each of those that run has its share of the cores.
    const auto running = static_cast<double>(std::max<std::size_t>(1, left_.size()));
    const double share = std::min(1.0, scene_.cores / running);
    for (double& left : left_) left -= share;
    const auto done = std::erase_if(left_, [](double left) { return left <= 1e-9; });
    served_ += done;
    while (waiting_ > 0 && static_cast<int>(left_.size()) < instances_) {
      --waiting_;
      left_.push_back(static_cast<double>(scene_.service / kTick));
    }
    meter_.set(now_, static_cast<std::size_t>(waiting_), static_cast<int>(left_.size()));
    if (making_ && now_ >= made_at_) made();
    if (!making_ && (now_ >= look_at_ || (told_ && waiting_ > 0))) look();
  }

  void made() {
    making_ = false;
    ++tried_;
    look_at_ = now_ + Elasticity::kLook;
    if (scene_.fails && scene_.fails(tried_)) {
      core_.failed(now_);
      failed_at_ = now_;
      return release();
    }
    core_.grown(now_);
    ++instances_;
    ++grown_;
    check(instances_ <= scene_.options.max, "more instances than there may be");
  }

  void look() {
    ++looks_;
    Load load = meter_.take(now_);
    load.instances = instances_;
    load.rows = load.runs = served_;
    const Elasticity::Decision decision =
        core_.decide(load, {.free = scene_.memory_free, .instance = scene_.instance_bytes}, now_);
    look_at_ = decision.look_at;
    told_ = load.queued <= 0 && decision.step == Elasticity::Step::kStay;
    short_of_memory_ |= decision.short_of_memory;
    check(look_at_ > now_ || decision.step != Elasticity::Step::kStay, "looks without a pause");
    if (decision.step == Elasticity::Step::kGrow) {
      check(instances_ < scene_.options.max, "grows beyond its bound");
      check(scene_.memory_free >= scene_.instance_bytes, "grows beyond the memory");
      check(now_ < failed_at_ || now_ - failed_at_ >= Elasticity::kBackOffMin,
            "tries again at once what has failed");
      scene_.memory_free -= scene_.instance_bytes;
      making_ = true;
      made_at_ = now_ + scene_.making;
    } else if (decision.step == Elasticity::Step::kShrink) {
      check(instances_ > scene_.options.min, "shrinks below its bound");
      if (static_cast<int>(left_.size()) >= instances_) return;  // none is idle
      --instances_;
      ++shrunk_;
      release();
    }
  }

  void release() {
    const std::size_t bytes = scene_.instance_bytes;
    scene_.memory_free += std::min(bytes, SIZE_MAX - scene_.memory_free);
  }

  void check(bool holds, const char* what) {
    if (!holds && broken_.empty()) broken_ = what;
  }

  ElasticityScene scene_;
  Elasticity core_;
  LoadMeter meter_;
  Time now_{std::chrono::hours(1)};
  std::vector<double> left_;  // ticks of work, of the requests that run
  int waiting_ = 0;
  int instances_;
  bool making_ = false;
  Time made_at_{};
  Time look_at_ = kNever;
  Time failed_at_ = Time::max();
  bool told_ = true;
  std::uint64_t served_ = 0;
  int looks_ = 0;
  int grown_ = 0;
  int shrunk_ = 0;
  int tried_ = 0;
  bool short_of_memory_ = false;
  std::string broken_;
};

}  // namespace baozi::pipeline
