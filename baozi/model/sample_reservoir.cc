#include "baozi/model/sample_reservoir.h"

#include <algorithm>

namespace baozi::model {

// SplitMix64 (Steele, Lea, Flood 2014). The remainder's bias is below 2^-40 for any limit met here.
std::uint64_t SampleReservoir::random_below(std::uint64_t limit) noexcept {
  random_ += 0x9e3779b97f4a7c15;
  std::uint64_t value = random_;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return (value ^ (value >> 31)) % limit;
}

SampleReservoir::Counter& SampleReservoir::counter_of(std::uint64_t shape) {
  const auto known = std::ranges::find(counters_, shape, &Counter::shape);
  if (known != counters_.end()) return *known;
  if (counters_.size() < kShapesMax) {
    Counter& fresh = counters_.emplace_back();
    fresh.shape = shape;
    return fresh;
  }
  Counter& least = *std::ranges::min_element(counters_, {}, &Counter::count);
  for (const Place& place : least.places) bytes_ -= place.bytes;
  const std::uint64_t count = least.count;
  least = Counter{};
  least.shape = shape;
  least.count = count;
  return least;
}

SampleReservoir::Place* SampleReservoir::offer(std::uint64_t shape, std::size_t bytes) {
  Counter& counter = counter_of(shape);
  ++counter.count;
  ++counter.seen;
  const bool more = counter.places.size() < kSamplesEach;
  const std::uint64_t at = more ? counter.places.size() : random_below(counter.seen);
  if (at >= kSamplesEach) return nullptr;
  const std::size_t gone = more ? 0 : counter.places[at].bytes;
  if (bytes > bytes_max_ || bytes_ - gone > bytes_max_ - bytes) return nullptr;
  if (more) counter.places.emplace_back();
  bytes_ += bytes - gone;
  counter.places[at].bytes = bytes;
  return &counter.places[at];
}

std::vector<const SampleReservoir::Place*> SampleReservoir::samples() const {
  std::vector<const Counter*> by_count;
  for (const Counter& counter : counters_) by_count.push_back(&counter);
  // Equals as they lie in counters_.
  std::ranges::sort(by_count, [](const Counter* a, const Counter* b) {
    return a->count != b->count ? a->count > b->count : a < b;
  });
  std::vector<const Place*> all;
  for (const Counter* counter : by_count) {
    for (const Place& place : counter->places) all.push_back(&place);
  }
  return all;
}

}  // namespace baozi::model
