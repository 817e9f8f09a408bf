// LifeCycle's cascades: there as soon as one of their models is.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/coro/lane.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/this_task.h"
#include "baozi/model/cascade.h"
#include "baozi/serve/life_cycle_parts.h"

namespace baozi::serve {
namespace {

using model::State;
using model::VersionStatus;

constexpr auto kWarmingPoll = std::chrono::milliseconds(20);

bool has_state(const model::Repository& repository, const std::string& name, State state) {
  return std::ranges::any_of(repository.versions(name), [state](const VersionStatus& status) {
    return status.state == state;
  });
}

model::CascadeOptions options_of(const CascadeConfig& config) {
  model::CascadeOptions options;
  options.name = config.name;
  options.small = config.small;
  options.large = config.large;
  options.threshold = config.threshold;
  options.output = config.output;
  options.logits = config.logits;
  options.fall_back = config.fall_back;
  return options;
}

}  // namespace

model::VersionStatus status_for(const CascadeConfig& cascade, const Config& config,
                                const model::Repository& repository) {
  VersionStatus status{.name = cascade.name, .version = "1", .state = State::kAbsent};
  for (std::string name : {cascade.small, cascade.large}) {
    // Ends: no cascade leads back to itself.
    const auto inner_of = [&config](const std::string& part) {
      return std::ranges::find(config.cascades, part, &CascadeConfig::name);
    };
    for (auto at = inner_of(name); at != config.cascades.end(); at = inner_of(name))
      name = at->small;
    for (const VersionStatus& known : repository.versions(name)) {
      status.language = status.language || known.language;
      status.embeds = status.embeds || known.embeds;
    }
  }
  return status;
}

// On the pipelines' lane. Waits for one of the two; the small one is brought up at the start even
// if it is loaded on demand, since it answers for the other.
Task<void> LifeCycle::follow(LifeCycle* self, const CascadeConfig* cascade, std::string part) {
  using Hurry = model::Repository::Hurry;
  const Hurry hurry = part == cascade->small ? Hurry::kWanted : Hurry::kNone;
  try {
    Task<std::shared_ptr<model::Servable>> waiting = self->repository_.wait(part, "", hurry);
    co_await std::move(waiting);
  } catch (const Error& error) {
    if (error.code() == Code::kCancelled) throw;
    // It failed. Whether the other one is there, or comes, is seen below.
  }
  try {
    bool warming = true;
    while (warming) {
      // Looked at before the cascade is made of it: what becomes ready meanwhile is seen next time.
      warming = has_state(self->repository_, part, State::kWarming);
      Task<void> making = self->make_cascade(cascade);
      co_await std::move(making);
      self->note_if_settled();
      while (has_state(self->repository_, part, State::kWarming)) co_await sleep_for(kWarmingPoll);
    }
  } catch (const Error& error) {
    if (error.code() == Code::kCancelled) throw;
    log().error("{}: {}", cascade->name, error.message());
  }
}

// Of what is there now. What was unloaded on request stays so.
Task<void> LifeCycle::make_cascade(const CascadeConfig* cascade) {
  const std::string& name = cascade->name;
  const std::optional<VersionStatus> status = status_of(repository_, name, "1");
  if (!status || (status->state != State::kReady && !model::is_coming(status->state))) co_return;
  std::string wrong;
  try {
    auto before = std::dynamic_pointer_cast<model::Cascade>(repository_.peek(name, "1"));
    auto made = std::make_shared<model::Cascade>(options_of(*cascade), repository_, before.get());
    const bool ready = status->state == State::kReady ||
                       has_state(repository_, cascade->small, State::kReady) ||
                       has_state(repository_, cascade->large, State::kReady);
    repository_.add(std::move(made), ready ? State::kReady : State::kWarming);
    if (ready && status->state != State::kReady)
      log().info("{} is ready: '{}' answers", name,
                 repository_.peek(cascade->large, "") != nullptr ? cascade->large : cascade->small);
  } catch (const model::NotReady& error) {
    if (!error.coming()) wrong = error.message();
  } catch (const Error& error) {
    wrong = error.message();
  }
  if (wrong.empty()) co_return;
  log().error("{} is not served: {}", name, wrong);
  if (status->state == State::kReady) {
    Task<void> retiring = retire(name, "1", wrong);
    co_await std::move(retiring);
    repository_.set_status({.name = name, .version = "1", .state = State::kAbsent});
  }
  repository_.set_status(
      {.name = name, .version = "1", .state = State::kFailed, .reason = std::move(wrong)});
}

// By request: of what its models are now. They are brought up, but not waited for.
Task<void> LifeCycle::load_cascade(const CascadeConfig* cascade) {
  for (const VersionStatus& status : repository_.versions(cascade->name)) {
    if (status.state != State::kUnloaded && status.state != State::kFailed) continue;
    repository_.set_status({.name = cascade->name, .version = "1", .state = State::kAbsent});
  }
  repository_.want(cascade->small);
  repository_.want(cascade->large);
  co_await switch_to(*pipeline_lane_);
  Task<void> making = make_cascade(cascade);
  co_await std::move(making);
  for (const VersionStatus& status : repository_.versions(cascade->name)) {
    if (status.state == State::kFailed) throw Error(Code::kFailedPrecondition, status.reason);
  }
}

}  // namespace baozi::serve
