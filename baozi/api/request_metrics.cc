#include "baozi/api/request_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include <mutex>

#include "baozi/base/metrics.h"

namespace baozi::api {
namespace {

double seconds(Duration span) { return std::chrono::duration<double>(span).count(); }

}  // namespace

ModelMetrics::ModelMetrics(std::string model, std::string protocol)
    : model_(std::move(model)),
      protocol_(std::move(protocol)),
      seconds_(metrics::histogram(
          "baozi_request_seconds", "Time from a request's arrival to its answer",
          metrics::latency_bounds(), {{"model", model_}, {"protocol", protocol_}})) {}

void ModelMetrics::answered(Code code, Duration span) {
  seconds_.Observe(seconds(span));
  std::atomic<prometheus::Counter*>& slot = counters_[static_cast<std::size_t>(code)];
  prometheus::Counter* counter = slot.load(std::memory_order_acquire);
  if (counter == nullptr) {  // two threads get the same counter from the registry
    counter = &metrics::counter(
        "baozi_requests_total", "Requests answered, by gRPC's name of the outcome",
        {{"model", model_}, {"protocol", protocol_}, {"code", std::string(code_name(code))}});
    slot.store(counter, std::memory_order_release);
  }
  counter->Increment();
}

void ModelMetrics::stages(const RequestTrace& trace) {
  for (const RequestTrace::Stage& stage : trace.stages()) {
    stage_histogram(stage.name).Observe(seconds(stage.end - stage.start));
  }
}

prometheus::Histogram& ModelMetrics::stage_histogram(const char* stage) {
  {
    const std::shared_lock lock(mutex_);
    const auto at = stages_.find(stage);
    if (at != stages_.end()) return *at->second;
  }
  prometheus::Histogram& made =
      metrics::histogram("baozi_stage_seconds", "Time a request spent in a stage",
                         metrics::latency_bounds(), {{"model", model_}, {"stage", stage}});
  const std::unique_lock lock(mutex_);
  stages_.emplace(stage, &made);
  return made;
}

RequestMetrics::RequestMetrics(std::string protocol) : protocol_(std::move(protocol)) {}

ModelMetrics& RequestMetrics::of(std::string_view model) {
  {
    const std::shared_lock lock(mutex_);
    const auto at = models_.find(model);
    if (at != models_.end()) return *at->second;
  }
  const std::unique_lock lock(mutex_);
  std::unique_ptr<ModelMetrics>& slot = models_[std::string(model)];
  if (slot == nullptr) slot = std::make_unique<ModelMetrics>(std::string(model), protocol_);
  return *slot;
}

}  // namespace baozi::api
