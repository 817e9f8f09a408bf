// RequestMetrics: the counters and histograms of each model and protocol, looked up once.
//
// Thread safety: all methods.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>

#include "baozi/base/clock.h"
#include "baozi/base/error.h"
#include "baozi/coro/trace.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace baozi::api {

// Of one model by one protocol.
class ModelMetrics {
 public:
  ModelMetrics(std::string model, std::string protocol);

  // A request was answered with `code`, after `span`.
  void answered(Code code, Duration span);
  // The time each stage of the request took.
  void stages(const RequestTrace& trace);

 private:
  prometheus::Histogram& stage_histogram(const char* stage);

  const std::string model_;
  const std::string protocol_;
  prometheus::Histogram& seconds_;
  std::array<std::atomic<prometheus::Counter*>, 17> counters_{};  // by Code, made on first use
  std::shared_mutex mutex_;
  std::map<const char*, prometheus::Histogram*>
      stages_;  // guarded by mutex_; names have static storage
};

class RequestMetrics {
 public:
  explicit RequestMetrics(std::string protocol);

  // `model` must be one that exists: names that callers make up would fill the memory. "" stands
  // for those.
  ModelMetrics& of(std::string_view model);

 private:
  const std::string protocol_;
  std::shared_mutex mutex_;
  std::map<std::string, std::unique_ptr<ModelMetrics>, std::less<>> models_;  // guarded by mutex_
};

}  // namespace baozi::api
