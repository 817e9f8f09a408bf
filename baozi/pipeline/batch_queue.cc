// BatchQueue: the batcher's state. Lists by bucket and priority, a heap of deadlines, and what is
// known of latencies.
#include <algorithm>
#include <bit>
#include <cassert>

#include "baozi/pipeline/batcher.h"

namespace baozi::pipeline {
namespace {

constexpr double kExploreShare = 0.01;  // of all batch time may be lost by trying other sizes
constexpr double kHoldWorthwhile =
    1.03;  // waiting for callers must promise this much more throughput
constexpr Duration kHoldMin =
    std::chrono::microseconds(100);  // less is not worth a timer's wake-up
constexpr Duration kHoldMax = std::chrono::milliseconds(2);
constexpr int kHoldMissesMax = 4;
constexpr int kHoldPause = 64;  // batches

double to_ns(Duration duration) noexcept {
  return static_cast<double>(duration / std::chrono::nanoseconds(1));
}
Duration from_ns(double ns) noexcept {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::nano>(ns));
}

}  // namespace

BatchQueue::BatchQueue(const BatchOptions& options, int instances, int instances_max)
    : options_(options), count_(instances) {
  assert(instances >= 1 && options.queue_max >= 1);
  assert(options.max_batch >= 1 && options.max_batch <= LatencyModel::kRowsMax);
  const auto capacity = static_cast<std::size_t>(options.queue_max);
  nodes_.resize(capacity);
  free_.reserve(capacity);
  for (std::size_t i = capacity; i > 0; --i) free_.push_back(static_cast<Handle>(i - 1));
  deadlines_.reserve(capacity);
  buckets_.reserve(kBucketsMax);
  active_.reserve(kBucketsMax);
  instances_.resize(static_cast<std::size_t>(std::max(instances, instances_max)));
  idle_.reserve(instances_.size());
  for (int i = instances; i > 0; --i) idle_.push_back(i - 1);
}

void BatchQueue::add_instance(int index) noexcept {
  assert(static_cast<std::size_t>(index) < instances_.size() &&
         std::ranges::find(idle_, index) == idle_.end());
  instances_[static_cast<std::size_t>(index)] = {};
  idle_.insert(idle_.begin(), index);
  ++count_;
}

int BatchQueue::remove_idle_instance(int first) noexcept {
  const auto at = std::ranges::find_if(idle_, [first](int index) { return index >= first; });
  if (at == idle_.end()) return -1;
  const int index = *at;
  idle_.erase(at);
  --count_;
  return index;
}

std::uint32_t BatchQueue::bucket(std::uint64_t shape_key) {
  const auto known = bucket_by_key_.find(shape_key);
  if (known != bucket_by_key_.end()) return known->second;
  std::uint32_t index = kNoBucket;
  if (buckets_.size() < kBucketsMax) {
    index = static_cast<std::uint32_t>(buckets_.size());
    buckets_.emplace_back();
  } else {
    for (std::uint32_t i = 0; i < buckets_.size(); ++i) {
      if (buckets_[i].entries > 0 || buckets_[i].running > 0) continue;
      if (index == kNoBucket || buckets_[i].last_used < buckets_[index].last_used) index = i;
    }
    if (index == kNoBucket) return kNoBucket;
    bucket_by_key_.erase(buckets_[index].shape_key);
    buckets_[index] = Bucket{};
  }
  buckets_[index].shape_key = shape_key;
  buckets_[index].latency = std::make_unique<LatencyModel>(options_.max_batch);
  if (hold_.bucket == index) hold_.bucket = kNoBucket;
  bucket_by_key_.emplace(shape_key, index);
  return index;
}

std::size_t BatchQueue::level(int priority) noexcept {
  return static_cast<std::size_t>(std::clamp(priority, kPriorityMin, kPriorityMax) - kPriorityMin);
}

Handle BatchQueue::add(const Entry& entry) {
  assert(!full() && entry.rows >= 1 && entry.rows <= options_.max_batch &&
         entry.bucket < buckets_.size());
  const Handle handle = free_.back();
  free_.pop_back();
  Node& node = nodes_[handle];
  node.entry = entry;
  const auto above = static_cast<int>(level(entry.priority)) + kPriorityMin;
  node.key = entry.enqueued - above * options_.priority_age;
  Bucket& bucket = buckets_[entry.bucket];
  List& list = bucket.lists[level(entry.priority)];
  node.previous = list.tail;
  node.next = kNone;
  (list.tail == kNone ? list.head : nodes_[list.tail].next) = handle;
  list.tail = handle;
  bucket.occupied |= 1U << level(entry.priority);
  bucket.rows += entry.rows;
  if (bucket.entries++ == 0) {
    bucket.active = static_cast<std::uint32_t>(active_.size());
    active_.push_back(entry.bucket);
  }
  bucket.last_used = ++uses_;
  queued_rows_ += entry.rows;
  if (entry.deadline != kNever) deadline_add(handle);
  return handle;
}

void BatchQueue::remove(Handle handle) noexcept { unlink(handle); }

void BatchQueue::unlink(Handle handle) noexcept {
  Node& node = nodes_[handle];
  Bucket& bucket = buckets_[node.entry.bucket];
  List& list = bucket.lists[level(node.entry.priority)];
  (node.previous == kNone ? list.head : nodes_[node.previous].next) = node.next;
  (node.next == kNone ? list.tail : nodes_[node.next].previous) = node.previous;
  if (list.head == kNone) bucket.occupied &= ~(1U << level(node.entry.priority));
  bucket.rows -= node.entry.rows;
  if (--bucket.entries == 0) {
    const std::uint32_t last = active_.back();
    active_[bucket.active] = last;
    buckets_[last].active = bucket.active;
    active_.pop_back();
    bucket.active = kNone;
  }
  queued_rows_ -= node.entry.rows;
  if (node.heap != kNone) deadline_remove(handle);
  free_.push_back(handle);
}

void BatchQueue::place(std::uint32_t at, Handle handle) noexcept {
  deadlines_[at] = handle;
  nodes_[handle].heap = at;
}

std::uint32_t BatchQueue::sift_up(std::uint32_t at) noexcept {
  const Handle handle = deadlines_[at];
  while (at > 0) {
    const std::uint32_t parent = (at - 1) / 2;
    if (!deadline_before(handle, deadlines_[parent])) break;
    place(at, deadlines_[parent]);
    at = parent;
  }
  place(at, handle);
  return at;
}

void BatchQueue::sift_down(std::uint32_t at) noexcept {
  const Handle handle = deadlines_[at];
  for (;;) {
    std::size_t child = 2 * std::size_t{at} + 1;
    if (child >= deadlines_.size()) break;
    if (child + 1 < deadlines_.size() && deadline_before(deadlines_[child + 1], deadlines_[child]))
      ++child;
    if (!deadline_before(deadlines_[child], handle)) break;
    place(at, deadlines_[child]);
    at = static_cast<std::uint32_t>(child);
  }
  place(at, handle);
}

void BatchQueue::deadline_add(Handle handle) noexcept {
  deadlines_.push_back(handle);
  sift_up(static_cast<std::uint32_t>(deadlines_.size() - 1));
}

void BatchQueue::deadline_remove(Handle handle) noexcept {
  const std::uint32_t at = nodes_[handle].heap;
  nodes_[handle].heap = kNone;
  const Handle last = deadlines_.back();
  deadlines_.pop_back();
  if (last == handle) return;
  place(at, last);
  if (sift_up(at) == at) sift_down(at);
}

void BatchQueue::apply(const Actions& actions, Time now) noexcept {
  for (const Picked& picked : actions.expired) unlink(picked.handle);
  if (actions.instance < 0) return;
  for (const Picked& picked : actions.batch) unlink(picked.handle);
  assert(!idle_.empty() && idle_.back() == actions.instance);
  idle_.pop_back();
  Instance& instance = instances_[static_cast<std::size_t>(actions.instance)];
  instance = {true, idle_.empty(), actions.exploring, actions.rows, actions.bucket, now};
  Bucket& bucket = buckets_[actions.bucket];
  bucket.running += 1;
  bucket.dispatches += 1;
  running_rows_ += actions.rows;
  if (hold_.bucket == actions.bucket) {
    const bool came_back = 2 * (actions.rows + bucket.rows) > hold_.rows;
    hold_.misses = came_back ? 0 : hold_.misses + 1;
    hold_.bucket = kNoBucket;
    if (hold_.misses >= kHoldMissesMax) {
      hold_.misses = 0;
      hold_.pause = kHoldPause;
    }
  }
}

void BatchQueue::began(int index, Time at) noexcept {
  Instance& instance = instances_[static_cast<std::size_t>(index)];
  assert(instance.busy);
  instance.started = std::max(instance.started, at);
}

void BatchQueue::finished(int index, Time now, bool ok) noexcept {
  Instance& instance = instances_[static_cast<std::size_t>(index)];
  assert(instance.busy);
  instance.busy = false;
  idle_.push_back(index);
  running_rows_ -= instance.rows;
  Bucket& bucket = buckets_[instance.bucket];
  bucket.running -= 1;
  bucket.last_used = ++uses_;
  if (!ok) return;
  LatencyModel& latency = *bucket.latency;
  const double took_ns = to_ns(now - instance.started);
  bucket.credit_ns += kExploreShare * took_ns;
  if (instance.exploring && !latency.empty()) {
    const int best = latency.best_rows(options_.max_batch, instance.loaded, options_.latency_max);
    const double best_rate = latency.rate(best, instance.loaded);
    if (best_rate > 0) bucket.credit_ns -= std::max(0.0, took_ns - instance.rows * 1e9 / best_rate);
  }
  latency.record(instance.rows, instance.loaded, now - instance.started);
  bucket.credit_ns =
      std::min(bucket.credit_ns, 4 * to_ns(latency.estimate(options_.max_batch, instance.loaded)));
  start_hold(instance.bucket, instance.rows, now);
}

int BatchQueue::fair_share(int extra_rows) const noexcept {
  if (count_ == 1) return options_.max_batch;
  return std::max(1, (queued_rows_ + running_rows_ + extra_rows + count_ - 1) / count_);
}

// Callers in a closed loop come back with the next request a moment after their answer. An instance
// that grabbed the first of them would run a batch of one and leave the rest to the next, so it
// waits a little where larger batches pay.
void BatchQueue::start_hold(std::uint32_t bucket_index, int answered_rows, Time now) noexcept {
  if (options_.policy != BatchPolicy::kAdaptive || options_.hold_share <= 0) return;
  if (idle_.size() > 1) {
    // Another one waits for its callers already: both then share what comes.
    if (hold_.bucket == bucket_index && now < hold_.until) hold_.rows += answered_rows;
    return;
  }
  hold_.bucket = kNoBucket;
  if (hold_.pause > 0) {
    --hold_.pause;
    return;
  }
  const Bucket& bucket = buckets_[bucket_index];
  const LatencyModel& latency = *bucket.latency;
  const int limit =
      std::min({options_.max_batch, bucket.rows + answered_rows, fair_share(answered_rows)});
  int best = latency.best_rows(limit, true, options_.latency_max);
  const int unmeasured = latency.unmeasured_neighbour(best, limit, true);
  if (unmeasured > best) {
    best = unmeasured;  // may never be met by chance, and so never be measured
  } else if (latency.rate(best, true) <
             kHoldWorthwhile * latency.rate(std::max(bucket.rows, 1), true)) {
    return;
  }
  if (best <= bucket.rows) return;
  const Duration hold = from_ns(options_.hold_share * to_ns(latency.estimate(best, true)));
  if (hold < kHoldMin) return;
  hold_.bucket = bucket_index;
  hold_.rows = best;
  hold_.until = now + std::min(kHoldMax, hold);
}

}  // namespace baozi::pipeline
