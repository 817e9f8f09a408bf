// InFlight: counts a request as in flight for as long as it lives.
//
// Thread safety: a value of one owner.
#pragma once

#include <prometheus/gauge.h>

#include <utility>

namespace baozi::api {

class InFlight {
 public:
  explicit InFlight(prometheus::Gauge& gauge) : gauge_(&gauge) { gauge_->Increment(); }
  InFlight(InFlight&& other) noexcept : gauge_(std::exchange(other.gauge_, nullptr)) {}
  InFlight& operator=(InFlight&&) = delete;
  ~InFlight() {
    if (gauge_ != nullptr) gauge_->Decrement();
  }

 private:
  prometheus::Gauge* gauge_;
};

}  // namespace baozi::api
