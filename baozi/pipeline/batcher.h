// The batcher: which requests run together, on which instance, and when. A pure core: no clock,
// thread, coroutine, logger or random source; BatchedModel drives it.
//
//   queue.add(entry);                                  an event changes the state …
//   do {
//     decide(queue, now, actions);                     … a pure function says what to do …
//     queue.apply(actions, now);                       … and the driver does it
//     // expire, dispatch
//   } while (actions.any());
//   // call again at actions.ready_at and actions.expire_at
//
// Costs: with no idle instance decide() is O(1); otherwise it looks at the buckets that hold
// entries, then at the entries it takes. Nothing is allocated after construction, except when a
// shape bucket is seen for the first time.
//
// Thread safety: by its owner.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "baozi/base/clock.h"
#include "baozi/pipeline/latency_model.h"

namespace baozi::pipeline {

enum class BatchPolicy : std::uint8_t {
  kAdaptive,    // an idle instance takes what is there, in the size that was measured to pay best
  kFixedDelay,  // waits until max_batch rows are there or the oldest has waited max_delay
  kSize,        // waits until max_batch rows are there
};

struct BatchOptions {
  BatchPolicy policy = BatchPolicy::kAdaptive;
  int max_batch = 32;                                 // rows; 1: no batching
  Duration max_delay = std::chrono::milliseconds(1);  // kFixedDelay only
  Duration latency_max{0};  // kAdaptive: no batch that takes longer; 0: no bound
  Duration priority_age =
      std::chrono::milliseconds(250);  // waiting this long weighs as much as one priority level
  // kAdaptive: an instance that just answered may wait this share of a batch's time for its callers
  // to come back, if a larger batch was measured to pay; 0: never.
  double hold_share = 0.03;
  // A thousand waiting requests are seconds of work for any model that computes; whoever is behind
  // them is better served by another replica. A slot costs about 100 bytes, so raise it where
  // callers are patient.
  int queue_max = 1000;  // requests
};

struct Entry {
  std::uint64_t id = 0;  // the driver's own
  int rows = 1;          // at most max_batch
  std::uint32_t bucket = 0;
  int priority = 0;  // higher goes first; clamped to [kPriorityMin, kPriorityMax]
  Time deadline = kNever;
  Time enqueued = {};
};

using Handle = std::uint32_t;

struct Picked {
  Handle handle = 0;
  std::uint64_t id = 0;
};

struct Actions {
  std::vector<Picked> expired;  // their deadline has passed; at most kExpiredMax a turn
  int instance = -1;            // which runs the batch; -1: none does
  std::vector<Picked> batch;
  int rows = 0;
  std::uint32_t bucket = 0;
  bool exploring = false;  // the size was chosen to learn from it
  Time ready_at =
      kNever;  // when what waits may run, if nothing happens before: decide again then …
  Time expire_at = kNever;  // … and then

  static constexpr std::size_t kExpiredMax = 64;
  bool any() const noexcept { return instance >= 0 || !expired.empty(); }
};

class BatchQueue {
 public:
  static constexpr int kPriorityMin = -8;
  static constexpr int kPriorityMax = 7;
  static constexpr std::size_t kBucketsMax = 512;
  static constexpr std::uint32_t kNoBucket = 0xffffffff;

  // All instances are idle. Preconditions: instances >= 1, 1 <= max_batch <=
  // LatencyModel::kRowsMax, queue_max >= 1. There may be up to `instances_max` later on; 0: no
  // more.
  BatchQueue(const BatchOptions& options, int instances, int instances_max = 0);

  // One more, idle. Preconditions: not here, below instances_max.
  void add_instance(int index) noexcept;
  // Takes out the one that was idle for the longest time, of those from `first` on; -1: none is.
  int remove_idle_instance(int first) noexcept;

  // The bucket of a shape; entries of one bucket may run together. When kBucketsMax are known, the
  // one that was unused for the longest time is forgotten; kNoBucket when all are in use.
  std::uint32_t bucket(std::uint64_t shape_key);

  bool full() const noexcept { return free_.empty(); }
  // Preconditions: not full, rows in [1, max_batch].
  Handle add(const Entry& entry);
  // Takes a waiting entry out: it was stopped.
  void remove(Handle handle) noexcept;
  // Does to the state what the actions say.
  void apply(const Actions& actions, Time now) noexcept;
  // When the instance's batch began to run, if its thread had to be woken first: that time is not
  // the model's. Before finished().
  void began(int instance, Time at) noexcept;
  // The instance is idle again. A batch that failed teaches nothing about latency.
  void finished(int instance, Time now, bool ok) noexcept;
  // What a batch took that was run elsewhere, in warm-up.
  void learn(std::uint32_t bucket_index, int rows, bool loaded, Duration took) noexcept {
    buckets_[bucket_index].latency->record(rows, loaded, took);
  }

  std::size_t size() const noexcept { return nodes_.size() - free_.size(); }
  int queued_rows() const noexcept { return queued_rows_; }
  int running_rows() const noexcept { return running_rows_; }
  int idle_instances() const noexcept { return static_cast<int>(idle_.size()); }
  int instances() const noexcept { return count_; }
  const BatchOptions& options() const noexcept { return options_; }
  const LatencyModel& latency(std::uint32_t bucket_index) const noexcept {
    return *buckets_[bucket_index].latency;
  }

 private:
  friend class Decision;
  friend void decide(const BatchQueue& queue, Time now, Actions& actions);

  static constexpr Handle kNone = 0xffffffff;
  static constexpr std::size_t kPriorities = kPriorityMax - kPriorityMin + 1;

  struct Node {
    Entry entry;
    Time key;  // enqueued, moved back by the priority: the smallest goes first
    Handle previous = kNone;
    Handle next = kNone;
    std::uint32_t heap = kNone;  // place in deadlines_
  };
  struct List {
    Handle head = kNone;
    Handle tail = kNone;
  };
  struct Bucket {
    std::uint64_t shape_key = 0;
    std::array<List, kPriorities> lists;
    std::uint32_t occupied = 0;  // a bit for each list that is not empty
    int rows = 0;
    int entries = 0;
    int running = 0;               // batches
    std::uint32_t active = kNone;  // place in active_
    std::uint64_t last_used = 0;
    std::uint64_t dispatches = 0;
    double credit_ns = 0;  // time that exploring may still lose
    std::unique_ptr<LatencyModel> latency;
  };
  struct Instance {
    bool busy = false;
    bool loaded = false;
    bool exploring = false;
    int rows = 0;
    std::uint32_t bucket = 0;
    Time started;
  };
  // An instance that answered a moment ago, and how many rows it waits for until when.
  struct Hold {
    Time until = Time::min();
    int rows = 0;
    std::uint32_t bucket = kNoBucket;
    int misses = 0;  // in a row; many mean that callers do not come back
    int pause = 0;   // batches to finish before it is tried again
  };

  static std::size_t level(int priority) noexcept;
  void unlink(Handle handle) noexcept;
  void deadline_add(Handle handle) noexcept;
  void deadline_remove(Handle handle) noexcept;
  std::uint32_t sift_up(std::uint32_t at) noexcept;
  void sift_down(std::uint32_t at) noexcept;
  void place(std::uint32_t at, Handle handle) noexcept;
  bool deadline_before(Handle a, Handle b) const noexcept {
    return nodes_[a].entry.deadline < nodes_[b].entry.deadline;
  }
  void start_hold(std::uint32_t bucket_index, int answered_rows, Time now) noexcept;
  // The most rows one instance should take, so that the others do not go without.
  int fair_share(int extra_rows) const noexcept;

  const BatchOptions options_;
  std::vector<Node> nodes_;
  std::vector<Handle> free_;
  std::vector<Handle> deadlines_;  // a heap, the earliest first; entries with a deadline only
  std::vector<Bucket> buckets_;
  std::unordered_map<std::uint64_t, std::uint32_t> bucket_by_key_;
  std::vector<std::uint32_t> active_;  // buckets that hold entries
  std::vector<Instance> instances_;    // by index, also those that are not here
  int count_;                          // of those that are
  std::vector<int> idle_;  // the last to finish is the first to be used: its caches are warm
  Hold hold_;
  int queued_rows_ = 0;
  int running_rows_ = 0;
  std::uint64_t uses_ = 0;
};

// What to do now. Overwrites `actions`, whose memory is reused.
void decide(const BatchQueue& queue, Time now, Actions& actions);

}  // namespace baozi::pipeline
