// CircuitBreaker: whether it is worth asking somebody who may be dead, hung or slow. A pure core:
// time is what the caller says it is.
//
//   closed ── failures_max in a row, or one break ──▶ open ── after a wait ──▶ probing
//     ▲                                                ▲                        │ │
//     └──────────────────── the probe went well ───────┼────────────────────────┘ │
//                                                      └── it did not: twice the wait
//
// Only the probe closes it, so that no request has to find out whether the other side is back. The
// wait starts from its least again when something has gone well after that.
//
// Thread safety: none.
#pragma once

#include "baozi/base/clock.h"

namespace baozi::redis {

struct BreakerOptions {
  int failures_max = 3;
  Duration wait_min = std::chrono::milliseconds(100);
  Duration wait_max = std::chrono::seconds(5);
};

class CircuitBreaker {
 public:
  enum class State { kClosed, kOpen, kProbing };

  // Open, and due for a probe at once: nobody was asked yet.
  explicit CircuitBreaker(BreakerOptions options, Time now) noexcept
      : options_(options), wait_(options.wait_min), probe_at_(now) {}

  State state() const noexcept { return state_; }
  bool closed() const noexcept { return state_ == State::kClosed; }
  // When the next probe is due; kNever unless open.
  Time probe_at() const noexcept { return state_ == State::kOpen ? probe_at_ : kNever; }

  // What came of asking; without effect unless closed: those who asked before it opened answer
  // late. Each returns whether it opened the circuit.
  void succeeded() noexcept;
  bool failed(Time now) noexcept;
  bool broke(Time now) noexcept;  // the connection: no more failures are waited for

  // Whether the caller is to probe now; then it must say how it went.
  bool take_probe(Time now) noexcept;
  void probed(bool well, Time now) noexcept;

 private:
  void open(Time now) noexcept;

  const BreakerOptions options_;
  State state_ = State::kOpen;
  int failures_ = 0;  // in a row
  Duration wait_;     // before the next probe
  Time probe_at_;
};

}  // namespace baozi::redis
