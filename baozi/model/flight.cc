#include "baozi/model/flight.h"

namespace baozi::model {

Flights::Seat Flights::join(const CacheKey& key) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Flight>& flight = flights_[key];
  const bool starts = flight == nullptr;
  if (starts) flight = std::make_shared<Flight>(key);
  ++flight->waiting;
  return Seat(*this, flight, starts);
}

void Flights::land(const std::shared_ptr<Flight>& flight) noexcept {
  {
    const std::lock_guard lock(mutex_);
    remove_locked(*flight);
  }
  flight->done.set();
}

// A flight that nobody waits for takes nobody in any more, before it is told to stop.
void Flights::leave(const std::shared_ptr<Flight>& flight) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (--flight->waiting > 0) return;
    remove_locked(*flight);
  }
  flight->stop.request_stop(Code::kCancelled);
}

void Flights::remove_locked(const Flight& flight) noexcept {
  const auto at = flights_.find(flight.key);
  if (at != flights_.end() && at->second.get() == &flight) flights_.erase(at);
}

}  // namespace baozi::model
