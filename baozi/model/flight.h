// Flights: one run for all who ask the same at the same time. The first one starts it, the others
// join; a run goes on as long as anybody waits for it, and is stopped when the last one has left.
//
// Thread safety: all methods of Flights. A Flight's result is written before `done` is set and read
// after it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "baozi/base/error.h"
#include "baozi/coro/context.h"
#include "baozi/coro/event.h"
#include "baozi/coro/stop.h"
#include "baozi/coro/trace.h"
#include "baozi/model/cache_key.h"
#include "baozi/model/request.h"

namespace baozi::model {

struct Flight {
  explicit Flight(const CacheKey& of) noexcept : key(of) {}

  const CacheKey key;
  StopSource stop;
  RequestTrace trace;  // of the run; whoever started it gets a copy
  const Context context{stop.token(), kNever, &trace};  // the run's
  Event done;
  // One of the two, when done:
  InferResponse response;
  std::optional<Error> error;  // thrown as a copy by each who waits

  std::size_t waiting = 0;  // guarded by the lock of Flights
};

class Flights {
 public:
  // A place in a flight. Its end gives the place up; the last one's stops the run.
  class [[nodiscard]] Seat {
   public:
    Seat(Flights& flights, std::shared_ptr<Flight> flight, bool starts) noexcept
        : flights_(flights), flight_(std::move(flight)), starts_(starts) {}
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;
    ~Seat() { flights_.leave(flight_); }

    const std::shared_ptr<Flight>& flight() const noexcept { return flight_; }
    bool starts() const noexcept { return starts_; }  // whoever has it must start the run

   private:
    Flights& flights_;
    const std::shared_ptr<Flight> flight_;
    const bool starts_;
  };

  // In the key's flight, or in a new one.
  Seat join(const CacheKey& key);
  // The run has ended and written its result: wakes all who wait. Later askers get a new flight.
  void land(const std::shared_ptr<Flight>& flight) noexcept;

 private:
  void leave(const std::shared_ptr<Flight>& flight) noexcept;
  void remove_locked(const Flight& flight) noexcept;

  std::mutex mutex_;
  // Guarded by mutex_:
  std::unordered_map<CacheKey, std::shared_ptr<Flight>, CacheKeyHash> flights_;
};

}  // namespace baozi::model
