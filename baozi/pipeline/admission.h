// Admission: how much may be in flight, by number and by bytes, for a model and for the process.
// Says no at once and without an exception, and says when to try again.
//
//   Gate process({.requests_max = 20000, .bytes_max = 1 << 30});
//   Gate model({.requests_max = 500}, &process);
//   Admission admission = model.try_enter(body_bytes);
//   if (!admission.admitted()) return refuse(admission.refusal());     // 429, Retry-After
//   // … the request; its place is free again when `admission` is destroyed
//
// Thread safety: Gate, all methods; an Admission is a value of one owner. A gate outlives what it
// admitted.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "baozi/base/clock.h"
#include "baozi/model/servable.h"

namespace baozi::pipeline {

// How fast things are done, from the moments they were. Thread-safe.
class ServiceRate {
 public:
  void done(std::uint32_t count, Time now) noexcept;
  // Whole seconds until `ahead` of them are done at this rate, in [1, kRetryAfterMax]; 1 while
  // nothing is known.
  int seconds_for(std::size_t ahead) const noexcept;

  static constexpr int kRetryAfterMax = 60;

 private:
  static constexpr Duration kWindow = std::chrono::milliseconds(500);
  std::atomic<std::int64_t> window_start_ns_{0};
  std::atomic<std::uint32_t> window_count_{0};
  std::atomic<double> per_second_{0};
};

class Gate;

class Admission {
 public:
  Admission(Admission&& other) noexcept
      : gate_(std::exchange(other.gate_, nullptr)),
        bytes_(other.bytes_),
        refusal_(other.refusal_) {}
  Admission& operator=(Admission&&) = delete;
  ~Admission();

  bool admitted() const noexcept { return gate_ != nullptr; }
  // Why not; precondition: not admitted.
  const model::Refusal& refusal() const noexcept { return refusal_; }

 private:
  friend class Gate;
  Admission(Gate* gate, std::size_t bytes) noexcept : gate_(gate), bytes_(bytes) {}
  explicit Admission(model::Refusal refusal) noexcept : refusal_(refusal) {}

  Gate* gate_ = nullptr;
  std::size_t bytes_ = 0;
  model::Refusal refusal_;
};

class Gate {
 public:
  struct Limits {
    std::size_t requests_max = 0;  // in flight; 0: no limit
    std::size_t bytes_max = 0;     // of request bodies in flight; 0: no limit
  };

  // `outer` admits first, and outlives this gate.
  explicit Gate(Limits limits, Gate* outer = nullptr) noexcept : limits_(limits), outer_(outer) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // A request larger than bytes_max is never admitted.
  Admission try_enter(std::size_t bytes) noexcept;

  std::size_t requests() const noexcept { return requests_.load(std::memory_order_relaxed); }
  std::size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }

 private:
  friend class Admission;
  const char* enter(std::size_t bytes) noexcept;  // null, or why not
  void leave(std::size_t bytes) noexcept;

  const Limits limits_;
  Gate* const outer_;
  std::atomic<std::size_t> requests_{0};
  std::atomic<std::size_t> bytes_{0};
  ServiceRate rate_;
};

}  // namespace baozi::pipeline
