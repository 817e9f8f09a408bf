#include "baozi/api/hold.h"

#include <prometheus/gauge.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "baozi/base/metrics.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/model/no_room.h"

namespace baozi::api {
namespace {

constexpr double kRetryAfterMax = 600;

}  // namespace

class Hold::Place {
 public:
  explicit Place(Hold& hold) noexcept
      : hold_(hold), before_(hold.held_.fetch_add(1, std::memory_order_relaxed)) {
    hold_.gauge_.Increment();
  }
  ~Place() {
    hold_.gauge_.Decrement();
    hold_.held_.fetch_sub(1, std::memory_order_relaxed);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  bool free() const noexcept { return before_ < hold_.options_.requests_max; }

 private:
  Hold& hold_;
  const std::size_t before_;
};

Hold::Hold(model::Repository& repository, HoldOptions options)
    : repository_(repository),
      options_(options),
      gauge_(metrics::gauge("baozi_requests_held",
                            "Requests that wait for their model to be ready")) {}

Task<std::shared_ptr<model::Servable>> Hold::wait(std::string name, std::string version,
                                                  Time deadline) {
  {
    const Place place(*this);
    if (place.free()) {
      const Time latest = Clock::now() + options_.timeout;
      Task<std::shared_ptr<model::Servable>> waiting =
          with_deadline(repository_.wait(name, version), std::min(latest, deadline));
      try {
        std::shared_ptr<model::Servable> servable = co_await std::move(waiting);
        co_return servable;
      } catch (const Error& error) {
        if (error.code() != Code::kDeadlineExceeded || deadline <= latest) throw;
      }
    }
  }
  co_return repository_.find(name, version);  // says how long it will take
}

int retry_after_s(const Error& error) noexcept {
  if (const auto* no_room = dynamic_cast<const model::NoRoom*>(&error))
    return no_room->retry_after_s();
  const auto* not_ready = dynamic_cast<const model::NotReady*>(&error);
  if (not_ready == nullptr)
    return error.code() == Code::kUnavailable || error.code() == Code::kResourceExhausted ? 1 : 0;
  if (!not_ready->coming()) return 0;
  const double seconds = not_ready->status().seconds_left;
  return static_cast<int>(std::ceil(std::clamp(seconds, 1.0, kRetryAfterMax)));
}

}  // namespace baozi::api
