// What RedisTier's two halves share: that of the requests (redis_tier.cc) and that of the lane
// (redis_tier_lane.cc).
//
// Thread safety: see RedisTier.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include "baozi/base/metrics.h"
#include "baozi/redis/redis_tier.h"

namespace baozi::redis {

enum class Outcome { kHit, kMiss, kLate, kFailed, kSkipped };

struct RedisTier::Get {
  Get(const model::CacheKey& of, Time until) noexcept : key(of), deadline(until) {}

  const model::CacheKey key;
  const Time deadline;
  Event done;
  // Written before `done` is set:
  std::optional<Bytes> record;
  Outcome outcome = Outcome::kFailed;
};

struct RedisTier::Metrics {
  static prometheus::Counter& gets_counter(const char* result) {
    return metrics::counter("baozi_cache_redis_gets_total",
                            "Look-ups in Redis, by what came of them", {{"result", result}});
  }
  prometheus::Counter* const gets[5] = {&gets_counter("hit"), &gets_counter("miss"),
                                        &gets_counter("late"), &gets_counter("failed"),
                                        &gets_counter("skipped")};  // by Outcome
  prometheus::Counter& dropped = metrics::counter(
      "baozi_cache_redis_dropped_total", "Writes to Redis that found it away or the queue full");
  prometheus::Counter& pulled =
      metrics::counter("baozi_cache_redis_pulled_total", "Hot entries fetched from Redis");
  prometheus::Gauge& up = metrics::gauge("baozi_cache_redis_up",
                                         "Whether Redis is asked: 1, or 0 while it is not well");
};

}  // namespace baozi::redis
