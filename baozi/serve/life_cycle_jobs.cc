// LifeCycle's jobs: models that are loaded, and pipelines that are made.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "baozi/base/cold_start.h"
#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/this_task.h"
#include "baozi/serve/life_cycle_parts.h"
#include "baozi/serve/loader.h"
#include "baozi/serve/progress_bar.h"
#include "baozi/serve/warm_up.h"
#include "baozi/serve/written_folders.h"

namespace baozi::serve {
namespace {

using model::State;
using model::VersionStatus;
using std::chrono::milliseconds;

constexpr int kPartsDepthMax = 8;  // pipelines of pipelines of …

std::string reason_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "unknown error";
  }
}

std::uintmax_t size_of(const std::filesystem::path& file) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  return error ? 0 : size;
}

constexpr Duration kGuestLook = milliseconds(2);

// Counts what is under way.
class FirstAnswerScope {
 public:
  explicit FirstAnswerScope(std::atomic<int>* count) noexcept : count_(count) {
    if (count_ != nullptr) ++*count_;
  }
  ~FirstAnswerScope() {
    if (count_ != nullptr) --*count_;
  }
  FirstAnswerScope(const FirstAnswerScope&) = delete;
  FirstAnswerScope& operator=(const FirstAnswerScope&) = delete;

 private:
  std::atomic<int>* const count_;
};

// Of a load that was never seen: what it took on small machines.
Duration guess_load_time(const std::filesystem::path& file) {
  constexpr double kBytesASecond = 300e6;
  const double seconds = 0.1 + static_cast<double>(size_of(file)) / kBytesASecond;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

// On a lane of its own. What can be loaded goes before what can be heated, and so does, for a
// while, the first answer of a pipeline over what is loaded.
Task<void> LifeCycle::work(LifeCycle* self) {
  const Context& context = co_await this_context();
  for (;;) {
    throw_if_stopped(context.stop);
    if (const JobPtr job = self->take()) {
      Task<void> making_room = self->make_room(job);
      try {
        co_await std::move(making_room);
      } catch (const Error&) {
        job->error = std::current_exception();
      }
      self->open(job, context.stop);
      Task<void> trimming = self->trim(job);
      co_await std::move(trimming);
    } else if (const JobPtr warming = self->take_warming()) {
      self->heat(*warming, context.stop);
    } else if (self->has_warming()) {
      co_await sleep_for(kGuestLook);
    } else {
      co_await self->work_.wait();
    }
  }
}

LifeCycle::JobPtr LifeCycle::enqueue(const ModelConfig& model, const ModelVersion& version,
                                     bool is_wanted) {
  const Key key(model.name, version.version);
  // Who wants what is being loaded just now gets that.
  JobPtr running = loading(version, key);
  const std::lock_guard lock(mutex_);
  known_.insert_or_assign(key, Known{model, version});
  if (running != nullptr) return running;
  return enqueue_locked(model, version, is_wanted);
}

// The job that loads it from what its files are now; null: there is none.
LifeCycle::JobPtr LifeCycle::loading(const ModelVersion& version, const Key& key) {
  JobPtr running;
  std::string stamp;
  ModelFiles::SystemTime since;
  {
    const std::lock_guard lock(mutex_);
    const auto at = std::ranges::find(running_, key, [](const JobPtr& job) { return job->key(); });
    if (at == running_.end()) return nullptr;
    running = *at;
    stamp = running->stamp;
    since = running->since;
  }
  const bool same = files_.stamp_at(version.file, stamp, since) == files_.stamp(version.file);
  return same ? running : nullptr;
}

LifeCycle::JobPtr LifeCycle::enqueue_locked(const ModelConfig& model, const ModelVersion& version,
                                            bool is_wanted) {
  JobPtr& job = queued_[{model.name, version.version}];
  if (job == nullptr) {
    job = std::make_shared<Job>();
    job->model = model;
    job->version = version;
    job->expected = record_.load_time(model.name);
    if (job->expected == Duration::zero()) job->expected = guess_load_time(version.file);
    queue_.add({.name = model.name,
                .version = version.version,
                .uses = record_.uses(model.name),
                .expected = job->expected});
  }
  if (is_wanted) queue_.want(model.name, version.version);
  publish_estimates_locked();
  work_.set();
  return job;
}

LifeCycle::JobPtr LifeCycle::take() {
  const std::lock_guard lock(mutex_);
  // One load of a version at a time; the lane that has it looks here again.
  const auto may = [this](const model::LoadQueue::Item& item) {
    return std::ranges::none_of(
        running_, [&](const JobPtr& job) { return job->key() == Key(item.name, item.version); });
  };
  const std::optional<model::LoadQueue::Item> item = queue_.take(may);
  if (!item) {
    if (warming_.empty()) work_.reset();
    return nullptr;
  }
  const auto at = queued_.find({item->name, item->version});
  JobPtr job = std::move(at->second);
  queued_.erase(at);
  job->begun = Clock::now();
  running_.push_back(job);
  publish_estimates_locked();
  return job;
}

// Somebody waits for a pipeline, or for the first answer of one.
bool LifeCycle::guests_wait() const {
  if (first_answers_ > 0) return true;
  return std::ranges::any_of(config_.pipelines, [this](const PipelineConfig& pipeline) {
    return repository_.awaited(pipeline.name, "1");
  });
}

bool LifeCycle::has_warming() {
  const std::lock_guard lock(mutex_);
  return !warming_.empty();
}

LifeCycle::JobPtr LifeCycle::take_warming() {
  const bool guests = guests_wait();
  const std::lock_guard lock(mutex_);
  if (warming_.empty() || (guests && Clock::now() < warming_.front()->heat_by)) return nullptr;
  JobPtr job = std::move(warming_.front());
  warming_.pop_front();
  return job;
}

// Until it answers; then it waits to be heated. A version that is served stays so until its
// successor is ready, and when that fails.
void LifeCycle::open(const JobPtr& job, const StopToken& stop) {
  const auto [name, version] = job->key();
  const auto end = [&job]() noexcept { job->stop.request_stop(); };
  const StopCallback on_stop(stop, end);
  job->serving = serves(repository_, name, version);
  {
    const ModelFiles::SystemTime since = std::chrono::system_clock::now();
    std::string stamp = files_.known_stamp(job->version.file);
    const std::lock_guard lock(mutex_);
    job->stamp = std::move(stamp);
    job->since = since;
  }
  try {
    const cold_start::Phase phase("load", name + "/" + version);
    move_to(*job, State::kOpening);
    throw_if_stopped(job->stop.token());
    if (job->error) std::rethrow_exception(job->error);  // there is no room for it
    move_to(*job, State::kLoading);
    ModelConfig configured = job->model;
    configured.options.prepared = config_.prepared;
    job->identity = front_.identity_of(job->model, job->version);
    std::shared_ptr<model::Servable> servable =
        open_model(configured, job->version, job->stop.token());
    resides(*job, servable->memory_bytes());
    record_.loaded(name, Clock::now() - job->begun, servable->memory_bytes());
    preparer_.add(
        {name, engine_of(configured, job->version), job->version.file, configured.options});
    if (job->model.instances.elastic)
      job->elastic = std::dynamic_pointer_cast<pipeline::BatchedModel>(servable);
    job->warm = warm_start(servable, configured.warmup, repository_, job->serving);
    if (job->warm == nullptr) return ready(*job, std::move(servable), "");
    const cold_start::Phase proving("prove", name + "/" + version);
    job->warm->prove(job->stop.token(), !job->serving && repository_.awaited(name, version));
    if (!job->serving) {
      repository_.add(front_.before(job->warm->servable(), job->model, job->version, job->identity),
                      State::kWarming);
    }
    const std::lock_guard lock(mutex_);
    job->heat_by = Clock::now() + job->warm->patience();
    warming_.push_back(job);
    work_.set();
  } catch (...) {
    failed(*job, std::current_exception());
  }
}

void LifeCycle::heat(Job& job, const StopToken& stop) {
  const auto [name, version] = job.key();
  const auto end = [&job]() noexcept { job.stop.request_stop(); };
  const StopCallback on_stop(stop, end);
  try {
    const cold_start::Phase phase("heat", name + "/" + version);
    const model::WarmupReport report = job.warm->heat(job.stop.token());
    ready(job, job.warm->servable(), report.cells > 0 ? "; warm-up: " + describe(report) : "");
  } catch (...) {
    failed(job, std::current_exception());
  }
}

void LifeCycle::ready(Job& job, std::shared_ptr<model::Servable> servable,
                      const std::string& more) {
  repository_.add(front_.before(std::move(servable), job.model, job.version, job.identity));
  log().info("{} version {} is ready after {} ms{}", job.model.name, job.version.version,
             std::chrono::duration_cast<milliseconds>(Clock::now() - job.begun).count(), more);
  scale(job);
  finish(job);
}

void LifeCycle::failed(Job& job, std::exception_ptr error) {
  const auto [name, version] = job.key();
  const std::string reason = reason_of(error);
  const bool given_up = job.stop.stop_requested();
  job.error = std::move(error);
  if (!job.serving) left(name, version);
  move_to(job, given_up ? State::kUnloaded : State::kFailed, reason);
  if (job.serving) {
    log().warn("{} version {} stays as it was: {}", name, version, reason);
  } else if (!given_up) {
    log().error("{} is not served: {}", name, reason);
  }
  finish(job);
}

void LifeCycle::finish(Job& job) {
  // By now it answers, or failed: whoever waits for it does not wait for its graph to be read.
  std::string stamp = job.stamp;
  if (config_.reload > Duration::zero())
    stamp = files_.stamp_at(job.version.file, job.stamp, job.since);
  {
    const std::lock_guard lock(mutex_);
    seen_[job.key()] = std::move(stamp);
    std::erase_if(running_, [&job](const JobPtr& each) { return each.get() == &job; });
    publish_estimates_locked();
  }
  job.warm.reset();
  job.done.set();
  note_if_settled();
}

void LifeCycle::move_to(const Job& job, State state, const std::string& reason) {
  if (!job.serving) repository_.set_status(status_for(job.model, job.version, state, reason));
}

std::unique_ptr<WarmStart> warm_start(std::shared_ptr<model::Servable> servable,
                                      const WarmupConfig& config, model::Repository& repository,
                                      bool serving) {
  if (!config.enabled) return nullptr;
  const auto bar = std::make_shared<ProgressBar>(fmt::format("{} warms up", servable->name()));
  std::function<void(double)> progress = [&repository, serving, bar, name = servable->name(),
                                          version = servable->version()](double now) {
    bar->show(now);
    if (!serving) repository.set_progress(name, version, now);
  };
  return std::make_unique<WarmStart>(std::move(servable), config, std::move(progress));
}

// Somebody waits for it. On that one's thread: nothing here blocks.
void LifeCycle::wanted(const std::string& name, const std::string& version) {
  const std::lock_guard lock(mutex_);
  want_locked(name, version);
  want_parts_locked(name, 0);
}

// A pipeline's models are named by its options; which of them, only it knows. Of a cascade the
// small one is enough: the large one would be in its way.
void LifeCycle::want_parts_locked(const std::string& name, int depth) {
  const std::vector<VersionStatus> index = repository_.index();
  std::vector<std::string> parts;
  const auto pipeline = std::ranges::find(config_.pipelines, name, &PipelineConfig::name);
  if (pipeline != config_.pipelines.end()) {
    for (const auto& [option, value] : pipeline->options) parts.push_back(value);
  }
  const auto cascade = std::ranges::find(config_.cascades, name, &CascadeConfig::name);
  if (cascade != config_.cascades.end()) {
    const bool comes = std::ranges::any_of(index, [&](const VersionStatus& status) {
      return status.name == cascade->small && model::is_coming(status.state);
    });
    parts.push_back(comes ? cascade->small : cascade->large);
  }
  if (parts.empty() || depth == kPartsDepthMax) return;
  for (const VersionStatus& status : index) {
    if (status.state != State::kAbsent || std::ranges::find(parts, status.name) == parts.end())
      continue;
    want_locked(status.name, status.version);
    want_parts_locked(status.name, depth + 1);
  }
}

void LifeCycle::want_locked(const std::string& name, const std::string& version) {
  for (const JobPtr& job : running_) {
    if (job->key() == Key(name, version)) return;
  }
  const auto known = known_.find({name, version});
  if (known != known_.end()) enqueue_locked(known->second.model, known->second.version, true);
}

void LifeCycle::publish_estimates_locked() {
  const Time now = Clock::now();
  std::vector<Duration> busy(lanes_);
  for (std::size_t i = 0; i < running_.size(); ++i) {
    const Job& job = *running_[i];
    // One that takes longer than thought is thought to take as long again as it is late.
    const Time ready_at = std::max(job.begun + job.expected, now + (now - job.begun) / 4);
    if (i < busy.size()) busy[i] = ready_at - now;
    repository_.set_estimate(job.model.name, job.version.version, ready_at);
  }
  for (const model::LoadQueue::Forecast& each : queue_.forecast(busy))
    repository_.set_estimate(each.item->name, each.item->version, now + each.ready_in);
}

void LifeCycle::note_if_settled() {
  const model::Readiness readiness = repository_.readiness();
  if (readiness == model::Readiness::kStarting) return;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(settled_, true)) return;
  }
  cold_start::ready();
  preparer_.begin(written_folders(config_));
  log().info("{} after {} ms",
             readiness == model::Readiness::kReady ? "everything is ready"
                                                   : "loading has ended, not all is ready",
             std::chrono::duration_cast<milliseconds>(Clock::now() - began_).count());
}

Task<void> LifeCycle::bring_up(LifeCycle* self, const PipelineConfig* pipeline) {
  const Context& context = co_await this_context();
  for (;;) {
    std::optional<VersionStatus> awaited;
    try {
      self->make(*pipeline, context.stop);
    } catch (const model::NotReady& error) {
      if (error.coming()) awaited = error.status();
    } catch (const std::exception&) {
      // It is noted in the repository.
    }
    self->note_if_settled();
    if (!awaited) co_return;
    using Hurry = model::Repository::Hurry;
    Task<std::shared_ptr<model::Servable>> waiting = self->repository_.wait(
        awaited->name, awaited->version, awaited->on_demand ? Hurry::kWanted : Hurry::kNone);
    try {
      co_await std::move(waiting);
    } catch (const model::NotReady&) {
      // The next attempt says so.
    }
    const std::optional<VersionStatus> status = status_of(self->repository_, pipeline->name, "1");
    if (status && status->state == State::kUnloaded) co_return;  // on request, meanwhile
  }
}

// On the pipelines' lane: it blocks for what the pipeline computes on the CPU pool.
void LifeCycle::make(const PipelineConfig& pipeline, StopToken stop) {
  const auto fail = [&](const std::string& reason) {
    if (stop.stop_requested()) return;  // the server ends; nobody is to blame
    const bool serving = serves(repository_, pipeline.name, "1");
    log().error("{} is not {}: {}", pipeline.name, serving ? "made anew" : "served", reason);
    if (serving) return;
    repository_.set_status(
        {.name = pipeline.name, .version = "1", .state = State::kFailed, .reason = reason});
  };
  try {
    const cold_start::Phase phase("pipeline", pipeline.name);
    const Time begun = Clock::now();
    std::string more;
    std::shared_ptr<model::Servable> made = open_pipeline(config_, pipeline, repository_, cpu_);
    const bool serving = serves(repository_, pipeline.name, "1");
    if (const auto warm = warm_start(made, pipeline.warmup, repository_, serving)) {
      {
        const bool awaited = !serving && repository_.awaited(pipeline.name, "1");
        const FirstAnswerScope first(awaited ? &first_answers_ : nullptr);
        warm->prove(stop, awaited);
        if (!serving) repository_.add(front_.before(warm->servable(), pipeline), State::kWarming);
        warm->settle(stop);
      }
      const model::WarmupReport report = warm->heat(stop);
      made = warm->servable();
      if (report.cells > 0) more = "; warm-up: " + describe(report);
    }
    const std::optional<VersionStatus> now = status_of(repository_, pipeline.name, "1");
    if (now && now->state == State::kUnloaded) return;  // on request, meanwhile
    repository_.add(front_.before(std::move(made), pipeline));
    log().info("{} version 1 is ready after {} ms{}", pipeline.name,
               std::chrono::duration_cast<milliseconds>(Clock::now() - begun).count(), more);
  } catch (const model::NotReady& error) {
    if (!error.coming()) fail(error.message());
    throw;
  } catch (const std::exception& error) {
    fail(error.what());
    throw;
  }
}

}  // namespace baozi::serve
