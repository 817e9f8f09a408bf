// ReplicaWarmth: the record of this replica's warmth, gathered from what the server knows, and the
// load reports that are made of it.
//
//   ReplicaWarmth warmth(repository, hold, in_flight, cores);
//   fleet::Warmth now = warmth.read();
//   warmth.add_headers(fleet::ReportFormat::kText, response);
//
// Thread safety: all methods. What the constructor is given outlives it.
#pragma once

#include <algorithm>
#include <atomic>
#include <mutex>

#include "baozi/api/hold.h"
#include "baozi/base/clock.h"
#include "baozi/fleet/load_report.h"
#include "baozi/fleet/rate_meter.h"
#include "baozi/fleet/warmth.h"
#include "baozi/model/repository.h"
#include "baozi/net/http.h"

namespace prometheus {
class Gauge;
}  // namespace prometheus

namespace baozi::api {

class ReplicaWarmth {
 public:
  // `in_flight`: inference requests that wait or run. `cores`: what utilisation is counted by.
  ReplicaWarmth(const model::Repository& repository, const Hold& hold,
                const prometheus::Gauge& in_flight, int cores)
      : repository_(repository), hold_(hold), in_flight_(in_flight), cores_(std::max(cores, 1)) {
    const Time now = Clock::now();
    answered_.read(now, 0);  // so that the first report is no empty one
    failed_.read(now, 0);
  }

  // Collects all metrics: for pages and agents.
  fleet::Warmth read() const;

  // On the road of a request: the load report, of a record that is a tenth of a second old at
  // most; and once the replica drains, that Envoy is to leave it.
  void add_headers(fleet::ReportFormat format, net::HttpResponse& response) const;

  void set_draining() noexcept { draining_.store(true, std::memory_order_relaxed); }
  bool draining() const noexcept { return draining_.load(std::memory_order_relaxed); }

 private:
  const model::Repository& repository_;
  const Hold& hold_;
  const prometheus::Gauge& in_flight_;
  const int cores_;
  std::atomic<bool> draining_{false};
  mutable std::mutex mutex_;  // of what follows
  mutable fleet::RateMeter cpu_, answered_, failed_;
  mutable fleet::Warmth reported_;
  mutable Time reported_at_ = kNever;
};

}  // namespace baozi::api
