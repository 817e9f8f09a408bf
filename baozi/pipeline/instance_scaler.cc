#include "baozi/pipeline/instance_scaler.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/coro/race.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/this_task.h"
#include "baozi/pipeline/model_warmup.h"

namespace baozi::pipeline {
namespace {

Task<void> event_task(std::shared_ptr<Event> event) { co_await event->wait(); }

Task<void> sleep_task(Time until) { co_await sleep_until(until); }

}  // namespace

InstanceScaler::Served::Served(ElasticModel of, const BatchedModel& model)
    : what(std::move(of)),
      name(model.name()),
      version(model.version()),
      core({.min = model.instances_min(),
            .max = model.instances_max(),
            .grow_after = what.grow_after,
            .shrink_after = what.shrink_after}) {}

void InstanceScaler::add(ElasticModel model) {
  const std::shared_ptr<BatchedModel> served = model.model.lock();
  if (served == nullptr) return;
  forget(served->name(), served->version());
  if (served->instances_max() <= served->instances_min()) return;
  {
    const std::lock_guard lock(mutex_);
    served_.push_back(std::make_shared<Served>(std::move(model), *served));
  }
  changed_->set();
}

void InstanceScaler::forget(const std::string& name, const std::string& version) {
  const std::lock_guard lock(mutex_);
  std::erase_if(served_, [&](const ServedPtr& each) {
    if (each->name != name || each->version != version) return false;
    each->forgotten = true;
    return true;
  });
}

std::vector<InstanceScaler::ServedPtr> InstanceScaler::all() {
  const std::lock_guard lock(mutex_);
  std::erase_if(served_, [](const ServedPtr& each) { return each->what.model.expired(); });
  return served_;
}

Task<void> InstanceScaler::run(InstanceScaler* self) {
  const Context& context = co_await this_context();
  for (;;) {
    throw_if_stopped(context.stop);
    self->changed_->reset();
    Time next = kNever;
    for (const ServedPtr& each : self->all()) {
      Task<void> looking = look(self, each);
      co_await std::move(looking);
      next = std::min(next, each->look_at);
    }
    Task<void> waiting = wait(self, next);
    co_await std::move(waiting);
  }
}

Task<void> InstanceScaler::wait(InstanceScaler* self, Time until) {
  if (until == kNever) {
    co_await self->changed_->wait();
    co_return;
  }
  Task<void> woken = event_task(self->changed_);
  Task<void> slept = sleep_task(until);
  auto first = race(std::move(woken), std::move(slept));
  co_await std::move(first);
}

// One where somebody waits is looked at from time to time only: a moment says little.
Task<void> InstanceScaler::look(InstanceScaler* self, ServedPtr served) {
  const Time now = Clock::now();
  if (!served->told && now < served->look_at) co_return;
  const std::shared_ptr<BatchedModel> model = served->what.model.lock();
  if (model == nullptr || served->forgotten) {
    served->look_at = kNever;
    co_return;
  }
  const Load load = model->load(now);
  const Elasticity::Decision decision = served->core.decide(
      load, {.free = self->memory_.free(), .instance = model->instance_bytes()}, now);
  served->look_at = decision.look_at;
  if (decision.short_of_memory) self->no_room(*served, *model);
  if (decision.step == Elasticity::Step::kShrink) self->shrink(*served, *model);
  if (decision.step == Elasticity::Step::kGrow) {
    Task<void> growing = grow(self, served, model);
    co_await std::move(growing);
    served->look_at = Clock::now() + Elasticity::kLook;
  }
  served->told = load.queued <= 0 && decision.step == Elasticity::Step::kStay;
  if (served->told) model->tell_when_waiting(self->changed_);
}

Task<void> InstanceScaler::grow(InstanceScaler* self, ServedPtr served,
                                std::shared_ptr<BatchedModel> model) {
  const std::size_t before = model->memory_bytes();
  if (!self->take(*served, *model, before + model->instance_bytes())) {
    self->no_room(*served, *model);
    served->core.failed(Clock::now());
    co_return;
  }
  std::optional<int> made;
  std::string wrong;
  model::WarmupReport report;
  const Time begun = Clock::now();
  try {
    made = model->make_instance();
    ModelWarmup warmup(model, served->what.samples, served->what.limits);
    Task<model::WarmupReport> heating = warmup.heat_newest(*made);
    report = co_await std::move(heating);
  } catch (const std::exception& error) {
    wrong = error.what();
  }
  if (wrong.empty()) {
    model->put_to_work(*made);
    served->core.grown(Clock::now());
    served->failing = served->short_of_memory = false;
    log().info(
        "{} version {} has {} instances: requests waited; made and warmed up in {} ms, {} runs",
        served->name, served->version, model->instances(),
        (Clock::now() - begun) / std::chrono::milliseconds(1), report.runs);
    co_return;
  }
  if (made) model->discard_instance(*made);
  self->take(*served, *model, before);
  served->core.failed(Clock::now());
  const Context& context = co_await this_context();
  if (context.stop.stop_requested() || std::exchange(served->failing, true)) co_return;
  log().warn("{} version {} goes on with {} instances, one more could not be made: {}",
             served->name, served->version, model->instances(), wrong);
}

void InstanceScaler::shrink(Served& served, BatchedModel& model) {
  if (!model.end_idle_instance()) {
    served.look_at = Clock::now() + Elasticity::kLook;
    return;
  }
  take(served, model, model.memory_bytes());
  log().info("{} version {} has {} instances: more were not needed for {} s", served.name,
             served.version, model.instances(),
             std::chrono::duration<double>(served.what.shrink_after).count());
}

// A model that was unloaded, or whose successor is here, holds no memory of the budget.
bool InstanceScaler::take(const Served& served, const BatchedModel& model, std::size_t bytes) {
  return !served.forgotten && memory_.take(model, bytes);
}

void InstanceScaler::no_room(Served& served, const BatchedModel& model) {
  if (served.forgotten || std::exchange(served.short_of_memory, true)) return;
  log().warn(
      "{} version {} goes on with {} instances: there is no memory for one more, about {} "
      "bytes ('memory_bytes_max')",
      served.name, served.version, model.instances(), model.instance_bytes());
}

}  // namespace baozi::pipeline
