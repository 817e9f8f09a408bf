#include "baozi/pipeline/batcher.h"

#include <algorithm>
#include <bit>

namespace baozi::pipeline {
namespace {

constexpr std::uint64_t kExploreEvery = 16;  // batches of a bucket
// What it takes to wake a sleeping thread and to have its answer: an instance that is through with
// everything in less needs no help.
constexpr Duration kWakeCost = std::chrono::microseconds(50);
// How long an instance that should have been through may be waited for.
constexpr Duration kPatience = std::chrono::milliseconds(10);

}  // namespace

class Decision {
 public:
  Decision(const BatchQueue& queue, Time now, Actions& actions)
      : queue_(queue), now_(now), actions_(actions) {}

  void run() {
    expire();
    if (!actions_.expired.empty()) return;
    if (!queue_.deadlines_.empty()) actions_.expire_at = deadline(0);
    if (queue_.idle_.empty() || queue_.active_.empty()) return;
    const std::uint32_t chosen = choose_bucket();
    if (chosen == BatchQueue::kNoBucket) return;
    actions_.bucket = chosen;
    take(queue_.buckets_[chosen], rows_wanted(queue_.buckets_[chosen]));
    actions_.instance = queue_.idle_.back();
  }

 private:
  using Bucket = BatchQueue::Bucket;
  using Node = BatchQueue::Node;

  Time deadline(std::size_t at) const {
    return queue_.nodes_[queue_.deadlines_[at]].entry.deadline;
  }

  // The entries whose deadline has passed form the top of the heap.
  void expire(std::size_t at = 0) {
    if (at >= queue_.deadlines_.size() || deadline(at) > now_) return;
    if (actions_.expired.size() >= Actions::kExpiredMax) return;
    const Handle handle = queue_.deadlines_[at];
    actions_.expired.push_back({handle, queue_.nodes_[handle].entry.id});
    expire(2 * at + 1);
    expire(2 * at + 2);
  }

  // Among the buckets that may run now, the one whose first entry has waited longest (priority
  // counts as waiting).
  std::uint32_t choose_bucket() {
    std::uint32_t chosen = BatchQueue::kNoBucket;
    Time chosen_key = Time::max();
    for (const std::uint32_t index : queue_.active_) {
      const Time ready_at = ready_time(index);
      if (ready_at > now_) {
        actions_.ready_at = std::min(actions_.ready_at, ready_at);
        continue;
      }
      const Time key = first_key(queue_.buckets_[index]);
      if (chosen != BatchQueue::kNoBucket && key >= chosen_key) continue;
      chosen = index;
      chosen_key = key;
    }
    return chosen;
  }

  Time first_key(const Bucket& bucket) const {
    Time first = Time::max();
    for (std::uint32_t left = bucket.occupied; left != 0; left &= left - 1) {
      const BatchQueue::List& list = bucket.lists[static_cast<std::size_t>(std::countr_zero(left))];
      first = std::min(first, queue_.nodes_[list.head].key);
    }
    return first;
  }

  // When the bucket may run if nothing is added to it.
  Time ready_time(std::uint32_t index) const {
    const Bucket& bucket = queue_.buckets_[index];
    if (bucket.rows >= queue_.options_.max_batch) return now_;
    switch (queue_.options_.policy) {
      case BatchPolicy::kSize:
        return kNever;
      case BatchPolicy::kFixedDelay:
        return oldest(bucket) + queue_.options_.max_delay;
      case BatchPolicy::kAdaptive:
        break;
    }
    const Time soon = quick_instance_free_at(bucket);
    if (soon > now_) return soon;
    const BatchQueue::Hold& hold = queue_.hold_;
    const bool held = hold.bucket == index && bucket.rows < hold.rows;
    return held ? std::max(hold.until, now_) : now_;
  }

  // When a running batch of this bucket will surely have ended, if its instance can soon take all
  // that waits: `finished` comes long before. The past if there is none.
  Time quick_instance_free_at(const Bucket& bucket) const {
    if (bucket.running == 0 || !quick(bucket, bucket.rows)) return Time::min();
    for (const BatchQueue::Instance& instance : queue_.instances_) {
      if (!instance.busy || &queue_.buckets_[instance.bucket] != &bucket) continue;
      if (!quick(bucket, instance.rows)) continue;
      const Time surely = instance.started + kPatience;
      if (surely > now_) return surely;
    }
    return Time::min();
  }

  bool quick(const Bucket& bucket, int rows) const {
    if (bucket.latency->empty() || rows > queue_.options_.max_batch) return false;
    return bucket.latency->estimate(rows, loaded()) <= kWakeCost;
  }

  Time oldest(const Bucket& bucket) const {
    Time first = Time::max();
    for (std::uint32_t left = bucket.occupied; left != 0; left &= left - 1) {
      const BatchQueue::List& list = bucket.lists[static_cast<std::size_t>(std::countr_zero(left))];
      first = std::min(first, queue_.nodes_[list.head].entry.enqueued);
    }
    return first;
  }

  // True for the last idle instance: with this batch all are busy.
  bool loaded() const { return queue_.idle_.size() == 1; }

  int rows_wanted(const Bucket& bucket) {
    const BatchOptions& options = queue_.options_;
    if (options.policy != BatchPolicy::kAdaptive) return options.max_batch;
    const int limit = std::min({bucket.rows, options.max_batch, queue_.fair_share(0)});
    const int all = std::min(bucket.rows, options.max_batch);
    if (quick(bucket, all)) return all;
    if (limit <= 1) return 1;
    const LatencyModel& latency = *bucket.latency;
    const int best = latency.best_rows(limit, loaded(), options.latency_max);
    if (!loaded() || latency.empty()) return best;
    const int other = rows_to_explore(bucket, best, limit);
    if (other == 0) return best;
    actions_.exploring = true;
    return other;
  }

  // First the neighbours of the best size, until a worse one is met on each side; then now and then
  // the size that was not tried for longest, if what that may lose was saved up.
  int rows_to_explore(const Bucket& bucket, int best, int limit) const {
    const LatencyModel& latency = *bucket.latency;
    const Duration latency_max = queue_.options_.latency_max;
    const auto allowed = [&](int rows) {
      return latency_max == Duration::zero() || latency.estimate(rows, true) <= latency_max;
    };
    const int neighbour = latency.unmeasured_neighbour(best, limit, true);
    if (neighbour > 0 && allowed(neighbour)) return neighbour;
    if (bucket.dispatches % kExploreEvery != kExploreEvery - 1) return 0;
    const int stalest = latency.stalest(limit, true);
    if (stalest == best || !allowed(stalest)) return 0;
    const double took_ns = stalest * 1e9 / latency.rate(stalest, true);
    const double loss_ns = took_ns - stalest * 1e9 / latency.rate(best, true);
    return loss_ns <= bucket.credit_ns ? stalest : 0;
  }

  // Entries in order, until the next does not fit or a larger batch would miss a deadline that this
  // one meets.
  void take(const Bucket& bucket, int rows_max) {
    std::array<Handle, BatchQueue::kPriorities> cursor;
    std::uint32_t left = bucket.occupied;
    for (std::size_t i = 0; i < cursor.size(); ++i) cursor[i] = bucket.lists[i].head;
    Time urgent = kNever;
    while (left != 0) {
      std::size_t first = static_cast<std::size_t>(std::countr_zero(left));
      for (std::uint32_t rest = left & (left - 1); rest != 0; rest &= rest - 1) {
        const auto i = static_cast<std::size_t>(std::countr_zero(rest));
        if (queue_.nodes_[cursor[i]].key < queue_.nodes_[cursor[first]].key) first = i;
      }
      const Handle handle = cursor[first];
      const Node& node = queue_.nodes_[handle];
      const int rows = actions_.rows + node.entry.rows;
      if (actions_.rows > 0 && (rows > rows_max || !meets(bucket, rows, urgent))) return;
      actions_.batch.push_back({handle, node.entry.id});
      actions_.rows = rows;
      // A deadline that is missed already decides nothing.
      if (meets(bucket, rows, node.entry.deadline)) urgent = std::min(urgent, node.entry.deadline);
      cursor[first] = node.next;
      if (node.next == BatchQueue::kNone) left &= ~(1U << first);
    }
  }

  bool meets(const Bucket& bucket, int rows, Time urgent) const {
    if (urgent == kNever) return true;
    return now_ + bucket.latency->estimate(rows, loaded()) <= urgent;
  }

  const BatchQueue& queue_;
  const Time now_;
  Actions& actions_;
};

void decide(const BatchQueue& queue, Time now, Actions& actions) {
  actions.expired.clear();
  actions.instance = -1;
  actions.batch.clear();
  actions.rows = 0;
  actions.bucket = 0;
  actions.exploring = false;
  actions.ready_at = kNever;
  actions.expire_at = kNever;
  Decision(queue, now, actions).run();
}

}  // namespace baozi::pipeline
