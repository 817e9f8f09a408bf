#include "baozi/redis/circuit_breaker.h"

#include <algorithm>

namespace baozi::redis {

void CircuitBreaker::succeeded() noexcept {
  if (state_ != State::kClosed) return;
  failures_ = 0;
  wait_ = options_.wait_min;
}

bool CircuitBreaker::failed(Time now) noexcept {
  if (state_ != State::kClosed || ++failures_ < options_.failures_max) return false;
  open(now);
  return true;
}

bool CircuitBreaker::broke(Time now) noexcept {
  if (state_ != State::kClosed) return false;
  open(now);
  return true;
}

bool CircuitBreaker::take_probe(Time now) noexcept {
  if (state_ != State::kOpen || now < probe_at_) return false;
  state_ = State::kProbing;
  return true;
}

void CircuitBreaker::probed(bool well, Time now) noexcept {
  if (state_ != State::kProbing) return;
  if (well) {
    state_ = State::kClosed;
    failures_ = 0;
  } else {
    open(now);
  }
}

void CircuitBreaker::open(Time now) noexcept {
  state_ = State::kOpen;
  probe_at_ = now + wait_;
  wait_ = std::min(2 * wait_, options_.wait_max);
}

}  // namespace baozi::redis
