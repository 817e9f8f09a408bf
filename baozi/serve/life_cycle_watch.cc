// What LifeCycle looks at by itself: files that change, memory that is short, models that nobody
// uses, what is to be remembered.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/coro/sleep.h"
#include "baozi/serve/free_memory.h"
#include "baozi/serve/life_cycle_parts.h"

namespace baozi::serve {
namespace {

using model::State;
using model::VersionStatus;

constexpr auto kRememberEvery = std::chrono::seconds(60);
constexpr auto kSleepLook = std::chrono::milliseconds(500);

std::string name_of(const std::string& name, const std::string& version) {
  return name + "/" + version;
}

std::size_t megabytes(std::size_t bytes) { return (bytes + 999'999) / 1'000'000; }

}  // namespace

// ---- Memory

bool LifeCycle::is_pinned(const ModelConfig& model) const {
  if (model.pin) return true;
  // A pipeline does not wait for its models, nor a cascade for its small one.
  if (std::ranges::find(config_.cascades, model.name, &CascadeConfig::small) !=
      config_.cascades.end()) {
    return true;
  }
  return std::ranges::any_of(config_.pipelines, [&](const PipelineConfig& pipeline) {
    return std::ranges::any_of(pipeline.options,
                               [&](const auto& option) { return option.second == model.name; });
  });
}

// Before the job is carried out. Errors: kResourceExhausted with the numbers.
Task<void> LifeCycle::make_room(JobPtr job) {
  const std::string name = name_of(job->model.name, job->version.version);
  std::size_t bytes = record_.bytes(job->model.name);
  if (bytes == 0) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(job->version.file, error);
    bytes = error ? 0 : static_cast<std::size_t>(size);
  }
  model::Residency::Room room;
  std::vector<Key> leaving;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [each, key] : resident_keys_)
      residency_.used(each, repository_.last_asked(key.first));
    room = residency_.make_room(name, bytes);
    for (const std::string& each : room.leave) leaving.push_back(resident_keys_.at(each));
    if (room.fits) {
      // From now on others see that this room is taken.
      for (const std::string& each : room.leave) residency_.leave(each);
      residency_.enter(name, bytes, is_pinned(job->model), Clock::now());
      resident_keys_[name] = job->key();
    }
  }
  if (!room.fits) {
    throw Error(Code::kResourceExhausted,
                fmt::format("{} needs about {} MB, but all models together may take {} MB "
                            "('memory_bytes_max'), of which {} MB are pinned",
                            job->model.name, megabytes(bytes), megabytes(residency_.bytes_max()),
                            megabytes(room.kept)));
  }
  for (const Key& key : leaving) {
    Task<void> evicting = evict(key.first, key.second, "others needed its memory");
    co_await std::move(evicting);
  }
}

// It turned out larger than was thought, when that was known from its file only.
Task<void> LifeCycle::trim(JobPtr job) {
  const auto [name, version] = job->key();
  model::Residency::Room room;
  std::vector<Key> leaving;
  {
    const std::lock_guard lock(mutex_);
    const std::string resident = name_of(name, version);
    for (const auto& [each, key] : resident_keys_)
      residency_.used(each, repository_.last_asked(key.first));
    room = residency_.make_room(resident, residency_.bytes_of(resident));
    for (const std::string& each : room.leave) leaving.push_back(resident_keys_.at(each));
  }
  for (const Key& key : leaving) {
    Task<void> evicting = evict(key.first, key.second, "others needed its memory");
    co_await std::move(evicting);
  }
  if (room.fits) co_return;
  Task<void> retiring = retire(
      name, version,
      fmt::format("it takes more memory than there is for it: all models together may take {} MB "
                  "('memory_bytes_max'), of which {} MB are pinned",
                  megabytes(residency_.bytes_max()), megabytes(room.kept)));
  co_await std::move(retiring);
}

void LifeCycle::resides(const Job& job, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  const std::string name = name_of(job.model.name, job.version.version);
  residency_.enter(name, bytes, is_pinned(job.model), Clock::now());
  resident_keys_[name] = job.key();
}

// Its instances grow and shrink from now on, in the place of those of what it follows.
void LifeCycle::scale(const Job& job) {
  if (job.warm == nullptr) {
    scaler_.add({.model = job.elastic, .shrink_after = job.model.instances.shrink_after});
    return;
  }
  scaler_.add(
      {.model = job.elastic,
       .samples = job.warm->samples(),
       .limits = {.budget = job.model.warmup.budget, .tolerance = job.model.warmup.tolerance},
       .shrink_after = job.model.instances.shrink_after});
}

std::size_t LifeCycle::free() const {
  const std::lock_guard lock(mutex_);
  if (residency_.bytes_max() == 0) return SIZE_MAX;
  return residency_.bytes_max() - std::min(residency_.bytes_max(), residency_.bytes());
}

// Of the budget; and what the system has, of which models may be a small part.
bool LifeCycle::take(const pipeline::BatchedModel& model, std::size_t bytes) {
  const std::string name = name_of(model.name(), model.version());
  const std::optional<std::uint64_t> system = free_memory();
  const std::lock_guard lock(mutex_);
  const std::size_t held = residency_.bytes_of(name);
  if (bytes > held && system && bytes - held > *system) return false;
  return residency_.resize(name, bytes);
}

void LifeCycle::left(const std::string& name, const std::string& version) {
  scaler_.forget(name, version);
  const std::lock_guard lock(mutex_);
  residency_.leave(name_of(name, version));
  resident_keys_.erase(name_of(name, version));
}

// Until somebody asks for it again.
Task<void> LifeCycle::evict(std::string name, std::string version, std::string reason) {
  Task<void> retiring = retire(name, version, std::move(reason));
  co_await std::move(retiring);
  std::optional<VersionStatus> status = status_of(repository_, name, version);
  if (!status || status->state != State::kUnloaded) co_return;
  status->state = State::kAbsent;
  status->reason.clear();
  status->on_demand = true;
  repository_.set_status(*std::move(status));
}

Task<void> LifeCycle::put_to_sleep(LifeCycle* self) {
  for (;;) {
    co_await sleep_for(kSleepLook);
    const Time now = Clock::now();
    for (const ModelConfig& model : self->config_.models) {
      if (model.sleep_after == Duration::zero() || self->is_pinned(model)) continue;
      for (const VersionStatus& status : self->repository_.index()) {
        if (status.name != model.name || status.state != State::kReady) continue;
        Time used = self->repository_.last_asked(model.name);
        {
          const std::lock_guard lock(self->mutex_);
          used = std::max(used, self->residency_.last_used(name_of(status.name, status.version)));
        }
        if (now - used < model.sleep_after) continue;
        Task<void> evicting =
            self->evict(status.name, status.version,
                        fmt::format("nobody used it for {} s", model.sleep_after.count()));
        co_await std::move(evicting);
      }
    }
  }
}

// ---- Files

Task<void> LifeCycle::watch(LifeCycle* self) {
  std::map<std::string, std::string> said;  // of each model, once and not at every look
  for (;;) {
    co_await sleep_for(self->config_.reload);
    for (const ModelConfig& model : self->all_models()) {
      std::string wrong;
      Task<void> looking = self->look_for_changes(model);
      try {
        co_await std::move(looking);
      } catch (const Error& error) {
        if (error.code() == Code::kCancelled) throw;
        wrong = error.message();
      }
      if (!wrong.empty() && wrong != said[model.name]) log().warn("{}: {}", model.name, wrong);
      said[model.name] = std::move(wrong);
    }
  }
}

std::vector<ModelConfig> LifeCycle::all_models() const {
  std::vector<ModelConfig> models = config_.models;
  if (config_.models_folder.empty()) return models;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(config_.models_folder, error)) {
    const std::string name = entry.path().filename().string();
    if (std::ranges::find(models, name, &ModelConfig::name) != models.end()) continue;
    if (std::optional<ModelConfig> added = find_model(config_.models_folder, name))
      models.push_back(*std::move(added));
  }
  return models;
}

// What was unloaded on request stays so until its files change. What a load says that fails is
// logged there.
Task<void> LifeCycle::look_for_changes(ModelConfig model) {
  std::vector<ModelVersion> versions = choose_versions(model.versions, find_versions(model.path));
  std::vector<std::string> stamps;
  for (const ModelVersion& version : versions) stamps.push_back(files_.stamp(version.file));
  std::vector<ModelVersion> stale;
  bool gone = false;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < versions.size(); ++i) {
      const auto seen = seen_.find({model.name, versions[i].version});
      const bool known = seen != seen_.end();
      if (known ? seen->second != stamps[i] : !model.on_demand) stale.push_back(versions[i]);
    }
    std::erase_if(seen_, [&](const auto& each) {
      const bool left = each.first.first == model.name && !contains(versions, each.first.second);
      gone |= left;
      return left;
    });
  }
  if (stale.empty() && !gone) co_return;
  Task<std::exception_ptr> changing =
      change(std::move(model), std::move(versions), std::move(stale));
  co_await std::move(changing);
}

Task<void> LifeCycle::remember_now_and_then(LifeCycle* self) {
  for (;;) {
    co_await sleep_for(kRememberEvery);
    self->remember();
  }
}

void LifeCycle::remember() noexcept {
  try {
    for (const VersionStatus& status : repository_.index()) {
      const std::uint64_t asked = repository_.asked(status.name);
      const std::lock_guard lock(mutex_);
      std::uint64_t& before = remembered_[status.name];
      record_.used(status.name, asked - std::exchange(before, asked));
    }
    record_.save();
  } catch (const std::exception& error) {
    log().warn("what was used is not remembered: {}", error.what());
  }
}

}  // namespace baozi::serve
