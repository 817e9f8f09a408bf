#include "baozi/serve/life_cycle.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>

#include "baozi/base/cores.h"
#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/coro/lane.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/this_task.h"
#include "baozi/serve/life_cycle_parts.h"

namespace baozi::serve {
namespace {

using model::State;
using model::VersionStatus;

constexpr std::size_t kLanesMax = 4;
constexpr auto kRetirePoll = std::chrono::milliseconds(5);

std::size_t lane_count(const Config& config) {
  if (config.loads_max > 0) return static_cast<std::size_t>(config.loads_max);
  return std::min(static_cast<std::size_t>(usable_cores()), kLanesMax);
}

}  // namespace

std::optional<VersionStatus> status_of(const model::Repository& repository, const std::string& name,
                                       const std::string& version) {
  for (VersionStatus& status : repository.index()) {
    if (status.name == name && status.version == version) return std::move(status);
  }
  return std::nullopt;
}

bool serves(const model::Repository& repository, const std::string& name,
            const std::string& version) {
  const std::optional<VersionStatus> status = status_of(repository, name, version);
  return status && status->state == State::kReady;
}

LifeCycle::LifeCycle(const Config& config, model::Repository& repository, Executor& cpu,
                     model::ResponseCaches* caches)
    : config_(config),
      repository_(repository),
      cpu_(cpu),
      lanes_(lane_count(config)),
      began_(Clock::now()),
      record_(config.start_record),
      front_(config, caches),
      residency_(config.memory_bytes_max),
      scaler_(*this) {
  repository_.on_wanted(
      [this](const std::string& name, const std::string& version) { wanted(name, version); });
}

LifeCycle::~LifeCycle() = default;

void LifeCycle::announce() {
  pipeline_lane_ = std::make_unique<Lane>("pipelines");
  for (const ModelConfig& model : config_.models) {
    try {
      for (const ModelVersion& version :
           choose_versions(model.versions, find_versions(model.path))) {
        repository_.set_status(status_for(model, version, State::kAbsent));
        known_.insert_or_assign(Key(model.name, version.version), Known{model, version});
        if (!model.on_demand) enqueue(model, version, false);
      }
    } catch (const Error& error) {
      repository_.set_status(
          {.name = model.name, .version = "1", .state = State::kFailed, .reason = error.message()});
      log().error("{} is not served: {}", model.name, error.message());
    }
    if (!model.versions.labels.empty()) repository_.set_labels(model.name, model.versions.labels);
  }
  for (const PipelineConfig& pipeline : config_.pipelines) {
    repository_.set_status({.name = pipeline.name,
                            .version = "1",
                            .state = State::kAbsent,
                            .embeds = pipeline.type == kEmbedType});
  }
  for (const CascadeConfig& cascade : config_.cascades)
    repository_.set_status(status_for(cascade, config_, repository_));
}

Task<void> LifeCycle::run() {
  const Context& context = co_await this_context();
  co_await switch_to(*pipeline_lane_);
  front_.announce(context.stop);
  std::vector<std::unique_ptr<Lane>> lanes;
  for (std::size_t i = 0; i < lanes_; ++i)
    lanes.push_back(std::make_unique<Lane>(fmt::format("load-{}", i)));
  const auto elastic = [](const ModelConfig& model) { return model.instances.elastic; };
  std::optional<Lane> scaling;
  if (std::ranges::any_of(config_.models, elastic)) scaling.emplace("instances");
  Nursery nursery(context, cpu_);
  if (scaling) nursery.spawn(scaler_.run(), *scaling);
  for (const auto& lane : lanes) nursery.spawn(work(this), *lane);
  for (const PipelineConfig& pipeline : config_.pipelines)
    nursery.spawn(bring_up(this, &pipeline), *pipeline_lane_);
  for (const CascadeConfig& cascade : config_.cascades) {
    nursery.spawn(follow(this, &cascade, cascade.small), *pipeline_lane_);
    nursery.spawn(follow(this, &cascade, cascade.large), *pipeline_lane_);
  }
  if (config_.reload > Duration::zero()) nursery.spawn(watch(this));
  const auto sleeps = [](const ModelConfig& model) { return model.sleep_after > Duration::zero(); };
  if (std::ranges::any_of(config_.models, sleeps)) nursery.spawn(put_to_sleep(this));
  nursery.spawn(remember_now_and_then(this));
  note_if_settled();
  co_await nursery.join();
}

// ---- By request

ModelConfig LifeCycle::config_of(const std::string& name) const {
  const auto model = std::ranges::find(config_.models, name, &ModelConfig::name);
  if (model != config_.models.end()) return *model;
  if (!config_.models_folder.empty()) {
    if (std::optional<ModelConfig> added = find_model(config_.models_folder, name))
      return *std::move(added);
  }
  std::vector<std::string> names;
  for (const ModelConfig& each : config_.models) names.push_back(each.name);
  for (const PipelineConfig& each : config_.pipelines) names.push_back(each.name);
  for (const CascadeConfig& each : config_.cascades) names.push_back(each.name);
  throw Error(Code::kNotFound,
              fmt::format("'{}' is not configured; there are: {}", name, fmt::join(names, ", ")));
}

Task<void> LifeCycle::load(std::string name) {
  const Context& context = co_await this_context();
  co_await switch_to(cpu_);
  const auto pipeline = std::ranges::find(config_.pipelines, name, &PipelineConfig::name);
  if (pipeline != config_.pipelines.end()) {
    for (const VersionStatus& status : repository_.versions(name)) {
      if (status.state != State::kUnloaded && status.state != State::kFailed) continue;
      repository_.set_status({.name = name, .version = "1", .state = State::kAbsent});
    }
    co_await switch_to(*pipeline_lane_);
    make(*pipeline, context.stop);
    co_return;
  }
  const auto cascade = std::ranges::find(config_.cascades, name, &CascadeConfig::name);
  if (cascade != config_.cascades.end()) {
    Task<void> loading = load_cascade(&*cascade);
    co_await std::move(loading);
    co_return;
  }
  ModelConfig model = config_of(name);
  std::vector<ModelVersion> versions = choose_versions(model.versions, find_versions(model.path));
  Task<std::exception_ptr> changing = change(std::move(model), versions, versions);
  const std::exception_ptr failed = co_await std::move(changing);
  if (failed) std::rethrow_exception(failed);
}

// `versions` are served from now on, and no others; `anew` of them are loaded. Every one is tried;
// what the first said that failed.
Task<std::exception_ptr> LifeCycle::change(ModelConfig model, std::vector<ModelVersion> versions,
                                           std::vector<ModelVersion> anew) {
  if (model.versions.spare_memory) {
    Task<void> retiring = retire_others(model, versions);
    co_await std::move(retiring);
  }
  std::vector<JobPtr> jobs;
  for (const ModelVersion& version : anew) {
    std::optional<VersionStatus> status = status_of(repository_, model.name, version.version);
    while (status && status->state == State::kDraining) {
      co_await sleep_for(kRetirePoll);
      status = status_of(repository_, model.name, version.version);
    }
    if (!status || status->state == State::kUnloaded || status->state == State::kFailed)
      repository_.set_status(status_for(model, version, State::kAbsent));
    jobs.push_back(enqueue(model, version, true));
  }
  std::exception_ptr first;
  for (const JobPtr& job : jobs) {
    co_await job->done.wait();
    if (job->error && !first) first = job->error;
  }
  if (first) co_return first;
  Task<void> retiring = retire_others(std::move(model), std::move(versions));
  co_await std::move(retiring);
  co_return nullptr;
}

Task<void> LifeCycle::retire_others(ModelConfig model, std::vector<ModelVersion> versions) {
  for (const VersionStatus& status : repository_.index()) {
    if (status.name != model.name || status.state != State::kReady) continue;
    if (contains(versions, status.version)) continue;
    Task<void> retiring = retire(status.name, status.version, "another version took its place");
    co_await std::move(retiring);
  }
}

// Requests that run on it keep it alive until they end.
Task<void> LifeCycle::retire(std::string name, std::string version, std::string reason) {
  std::optional<VersionStatus> status = status_of(repository_, name, version);
  if (!status) co_return;
  status->reason = reason;
  if (status->state == State::kReady) {
    scaler_.forget(name, version);
    const std::weak_ptr<model::Servable> leaving = repository_.peek(name, version);
    status->state = State::kDraining;
    repository_.set_status(*status);
    while (!leaving.expired()) co_await sleep_for(kRetirePoll);
  }
  status->state = State::kUnloaded;
  left(name, version);
  repository_.set_status(*status);
  log().info("{} version {} is unloaded: {}", name, version, reason);
}

Task<void> LifeCycle::unload(std::string name) {
  const std::vector<VersionStatus> versions = repository_.versions(name);
  for (const VersionStatus& status : versions) {
    JobPtr running;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.remove(name, status.version)) {
        const auto at = queued_.find({name, status.version});
        at->second->error = std::make_exception_ptr(
            Error(Code::kUnavailable, fmt::format("'{}' was unloaded on request", name)));
        at->second->done.set();
        queued_.erase(at);
        publish_estimates_locked();
      }
      for (const JobPtr& job : running_) {
        if (job->key() == Key(name, status.version)) running = job;
      }
    }
    if (running) {
      running->stop.request_stop();
      co_await running->done.wait();
    }
    Task<void> retiring = retire(name, status.version, "unloaded on request");
    co_await std::move(retiring);
  }
}

}  // namespace baozi::serve
