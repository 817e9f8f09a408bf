#include "baozi/pipeline/admission.h"

#include <algorithm>
#include <cmath>

namespace baozi::pipeline {

// Counts over windows of half a second and smooths them; whoever closes a window computes the rate.
void ServiceRate::done(std::uint32_t count, Time now) noexcept {
  const std::int64_t now_ns = now.time_since_epoch() / std::chrono::nanoseconds(1);
  window_count_.fetch_add(count, std::memory_order_relaxed);
  std::int64_t start = window_start_ns_.load(std::memory_order_relaxed);
  const std::int64_t window_ns = kWindow / std::chrono::nanoseconds(1);
  if (start != 0 && now_ns - start < window_ns) return;
  if (!window_start_ns_.compare_exchange_strong(start, now_ns, std::memory_order_relaxed)) return;
  const std::uint32_t counted = window_count_.exchange(0, std::memory_order_relaxed);
  if (start == 0) return;  // the first one opens the first window
  const double rate = counted * 1e9 / static_cast<double>(now_ns - start);
  const double before = per_second_.load(std::memory_order_relaxed);
  per_second_.store(before > 0 ? 0.5 * (before + rate) : rate, std::memory_order_relaxed);
}

int ServiceRate::seconds_for(std::size_t ahead) const noexcept {
  const double rate = per_second_.load(std::memory_order_relaxed);
  if (rate <= 0) return 1;
  return static_cast<int>(
      std::clamp(std::ceil(static_cast<double>(ahead) / rate), 1.0, double{kRetryAfterMax}));
}

Admission::~Admission() {
  if (gate_ != nullptr) gate_->leave(bytes_);
}

const char* Gate::enter(std::size_t bytes) noexcept {
  if (requests_.fetch_add(1, std::memory_order_relaxed) >= limits_.requests_max &&
      limits_.requests_max > 0) {
    requests_.fetch_sub(1, std::memory_order_relaxed);
    return "too many requests are in flight";
  }
  if (bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes > limits_.bytes_max &&
      limits_.bytes_max > 0) {
    bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    requests_.fetch_sub(1, std::memory_order_relaxed);
    return "too many bytes of requests are in flight";
  }
  return nullptr;
}

Admission Gate::try_enter(std::size_t bytes) noexcept {
  for (Gate* gate = outer_ != nullptr ? outer_ : this;; gate = this) {
    const char* refused = gate->enter(bytes);
    if (refused != nullptr) {
      if (gate == this && outer_ != nullptr) {
        outer_->requests_.fetch_sub(1, std::memory_order_relaxed);
        outer_->bytes_.fetch_sub(bytes, std::memory_order_relaxed);
      }
      return Admission(model::Refusal{refused, gate->rate_.seconds_for(gate->requests())});
    }
    if (gate == this) return Admission(this, bytes);
  }
}

void Gate::leave(std::size_t bytes) noexcept {
  const Time now = Clock::now();
  for (Gate* gate : {this, outer_}) {
    if (gate == nullptr) continue;
    gate->requests_.fetch_sub(1, std::memory_order_relaxed);
    gate->bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    gate->rate_.done(1, now);
  }
}

}  // namespace baozi::pipeline
