// Drives the batcher's core with events read from bytes and checks what must always hold. For the
// property test and the fuzz entry.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "baozi/pipeline/batcher.h"

namespace baozi::pipeline {

class BatcherSimulation {
 public:
  // "" or the first invariant that was broken.
  std::string run(std::span<const std::uint8_t> events) {
    if (events.size() < 4) return "";
    options_.policy = static_cast<BatchPolicy>(events[0] % 3);
    options_.max_batch = 1 + events[1] % 40;
    options_.queue_max = 1 + events[2] % 60;
    least_ = 1 + events[3] % 4;
    busy_.assign(static_cast<std::size_t>(least_ + kMore), kAbsent);
    std::fill_n(busy_.begin(), least_, 0);
    queue_.emplace(options_, least_, least_ + kMore);
    for (std::size_t i = 4; i + 2 < events.size() && broken_.empty(); i += 3) {
      now_ += std::chrono::microseconds(events[i + 2]);
      step(events[i], events[i + 1]);
      advance();
    }
    finish_all();
    return broken_;
  }

 private:
  using Class = std::pair<std::uint32_t, int>;  // bucket, priority
  struct Waiting {
    Handle handle;
    Entry entry;
  };

  void step(std::uint8_t kind, std::uint8_t argument) {
    switch (kind % 4) {
      case 0:
      case 1:
        add(kind, argument);
        break;
      case 2: {
        const std::size_t instance = argument % busy_.size();
        if (busy_[instance] > 0) finish(instance, argument % 16 != 0);
        break;
      }
      case 3:
        if (argument >= 224) {
          argument % 2 == 0 ? add_instance() : remove_instance();
          break;
        }
        if (waiting_.empty()) break;
        auto at = waiting_.begin();
        std::advance(at, argument % waiting_.size());
        queue_->remove(at->second.handle);
        forget(at->first);
        break;
    }
  }

  void add(std::uint8_t kind, std::uint8_t argument) {
    if (queue_->full()) {
      check(waiting_.size() == static_cast<std::size_t>(options_.queue_max),
            "full, but not at its limit");
      return;
    }
    Entry entry;
    entry.id = next_id_++;
    entry.rows = 1 + (argument % 5 == 0 ? argument % options_.max_batch : 0);
    entry.bucket = queue_->bucket(argument % 3);
    entry.priority = kind / 4 % 3 - 1;
    entry.deadline = argument % 4 == 0 ? now_ + std::chrono::microseconds(argument * 3) : kNever;
    entry.enqueued = now_;
    const Handle handle = queue_->add(entry);
    waiting_[entry.id] = {handle, entry};
    order_[{entry.bucket, entry.priority}].push_back(entry.id);
  }

  void add_instance() {
    const auto absent = std::ranges::find(busy_, kAbsent);
    if (absent == busy_.end()) return;
    *absent = 0;
    queue_->add_instance(static_cast<int>(absent - busy_.begin()));
  }

  void remove_instance() {
    const int index = queue_->remove_idle_instance(least_);
    if (index < 0) return;
    check(index >= least_ && busy_[static_cast<std::size_t>(index)] == 0,
          "removed one that is not idle");
    busy_[static_cast<std::size_t>(index)] = kAbsent;
  }

  void advance() {
    check(queue_->instances() == std::ranges::count_if(busy_, [](int rows) { return rows >= 0; }),
          "an instance was lost");
    do {
      decide(*queue_, now_, actions_);
      queue_->apply(actions_, now_);
      for (const Picked& picked : actions_.expired) expire(picked);
      if (actions_.instance >= 0) dispatch();
    } while (actions_.any() && broken_.empty());
    check(queue_->size() == waiting_.size(), "an entry was lost");
    check(actions_.ready_at > now_ || queue_->idle_instances() == 0,
          "wants to be woken in the past");
  }

  void expire(const Picked& picked) {
    const auto at = waiting_.find(picked.id);
    if (at == waiting_.end()) return check(false, "expired what does not wait");
    check(at->second.entry.deadline <= now_, "expired before its deadline");
    forget(picked.id);
  }

  void dispatch() {
    int& busy = busy_[static_cast<std::size_t>(actions_.instance)];
    check(busy == 0, "dispatched to a busy instance");
    check(!actions_.batch.empty(), "an empty batch");
    int rows = 0;
    for (const Picked& picked : actions_.batch) {
      const auto at = waiting_.find(picked.id);
      if (at == waiting_.end()) return check(false, "dispatched what does not wait");
      const Entry entry = at->second.entry;
      check(entry.bucket == actions_.bucket, "buckets were mixed");
      check(entry.deadline > now_, "dispatched after its deadline");
      check(order_[Class(entry.bucket, entry.priority)].front() == entry.id,
            "not first come, first served");
      rows += entry.rows;
      forget(picked.id);
    }
    check(rows == actions_.rows && rows <= options_.max_batch, "the batch is too large");
    busy = rows;
  }

  void finish(std::size_t instance, bool ok) {
    busy_[instance] = 0;
    queue_->finished(static_cast<int>(instance), now_, ok);
  }

  // In the end everything that waits runs, whatever its priority; without a full batch only the
  // size policy waits on.
  void finish_all() {
    for (int turn = 0; turn < 10'000 && broken_.empty() && !waiting_.empty(); ++turn) {
      now_ += std::chrono::milliseconds(5);
      for (std::size_t i = 0; i < busy_.size(); ++i) {
        if (busy_[i] > 0) finish(i, true);
      }
      advance();
    }
    check(waiting_.empty() || options_.policy == BatchPolicy::kSize, "something waits for ever");
  }

  void forget(std::uint64_t id) {
    const Entry entry = waiting_[id].entry;
    std::erase(order_[{entry.bucket, entry.priority}], id);
    waiting_.erase(id);
  }

  void check(bool holds, const char* what) {
    if (!holds && broken_.empty()) broken_ = what;
  }

  BatchOptions options_;
  std::optional<BatchQueue> queue_;
  Actions actions_;
  Time now_{std::chrono::seconds(1)};
  std::uint64_t next_id_ = 1;
  static constexpr int kMore = 3;  // instances that may come and go
  static constexpr int kAbsent = -1;
  int least_ = 1;
  std::vector<int> busy_;  // rows; kAbsent: there is none
  std::map<std::uint64_t, Waiting> waiting_;
  std::map<Class, std::deque<std::uint64_t>> order_;
  std::string broken_;
};

}  // namespace baozi::pipeline
