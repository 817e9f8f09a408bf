#include "baozi/pipeline/model_warmup.h"

#include <algorithm>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/when_all.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/model/warmup_check.h"

namespace baozi::pipeline {

using model::SampleOrigin;
using model::WarmupReport;
using model::WarmupRun;
using model::WarmupSample;

namespace {

constexpr Duration kWayLook = std::chrono::milliseconds(1);

}  // namespace

ModelWarmup::ModelWarmup(std::shared_ptr<BatchedModel> model, std::vector<WarmupSample> samples,
                         model::WarmupLimits limits)
    : model_(std::move(model)), limits_(std::move(limits)) {
  for (WarmupSample& sample : samples) add(std::move(sample));
}

void ModelWarmup::add(WarmupSample sample) {
  BatchedModel::Fit fit;
  try {
    fit = model_->fit(sample.inputs);
  } catch (const Error& error) {
    return model::pass_over(sample, error, model_->name());
  }
  const std::size_t index = samples_.size();
  samples_.push_back(std::move(sample));
  const auto same = std::ranges::find_if(groups_, [&fit](const Group& group) {
    return group.key == fit.shape_key && group.rows == fit.rows;
  });
  if (same != groups_.end()) {
    same->samples.push_back(index);
  } else {
    groups_.push_back({.key = fit.shape_key, .rows = fit.rows, .samples = {index}});
  }
}

Task<void> ModelWarmup::prove(ModelWarmup* self) {
  for (Group& group : self->groups_) {
    for (auto sample = group.samples.begin(); sample != group.samples.end();) {
      const bool enough = self->samples_[*sample].origin == SampleOrigin::kSynthesised;
      const Proof proof = co_await prove_one(self, *sample);
      if (proof == Proof::kTooSlow) self->hopeless_ = true;
      // Where noise gave way, the request proves as much.
      if (self->hopeless_ || (proof != Proof::kRefused && enough)) co_return;
      if (proof == Proof::kGaveWay) {
        co_await sleep_for(kWayLook);
      } else {
        sample = proof == Proof::kAnswered ? sample + 1 : group.samples.erase(sample);
      }
    }
  }
}

// What was given takes the time it takes; noise is not worth more than the budget. A model that is
// still being loaded, in parts, is waited for.
Task<ModelWarmup::Proof> ModelWarmup::prove_one(ModelWarmup* self, std::size_t index) {
  const Context& context = co_await this_context();
  const WarmupSample& sample = self->samples_[index];
  const bool noise = sample.origin == SampleOrigin::kSynthesised;
  const bool bound = noise && self->model_->loaded();
  BatchedModel::Trial trial;
  try {
    std::vector<Tensors> request{sample.inputs};
    Task<BatchedModel::Trial> task = self->model_->run_on(0, std::move(request));
    Task<BatchedModel::Trial> bounded =
        with_deadline(std::move(task), bound ? Clock::now() + self->limits_.budget : kNever);
    trial = co_await std::move(bounded);
  } catch (const Error& error) {
    if (bound && error.code() == Code::kDeadlineExceeded) co_return Proof::kTooSlow;
    if (error.code() == Code::kAborted) co_return Proof::kGaveWay;
    self->model_->await_loaded(context.stop);
    if (!self->model_->loaded()) throw;  // nor will it ever be: that is why
    model::pass_over(sample, error, self->model_->name());
    co_return Proof::kRefused;
  }
  model::check_answer(sample, trial.outputs.front(), self->limits_.tolerance);
  co_return Proof::kAnswered;
}

Task<WarmupReport> ModelWarmup::heat(ModelWarmup* self) {
  std::erase_if(self->groups_, [](const Group& group) { return group.samples.empty(); });
  if (self->groups_.size() > kGroupsMax) self->groups_.resize(kGroupsMax);
  std::vector<int> rows;
  for (const Group& group : self->groups_) rows.push_back(group.rows);
  self->count_ = self->model_->instances_min();
  self->plan_.emplace(self->count_, rows, self->model_->max_batch(), self->limits_.budget);
  // With no time left all of the plan is skipped, and the report says so.
  self->began_ = self->hopeless_ ? Clock::now() - self->limits_.budget : Clock::now();
  std::vector<Task<void>> instances;
  for (int i = 0; i < self->count_; ++i) instances.push_back(heat_instance(self, i));
  co_await when_all(std::move(instances));
  if (self->limits_.progress) self->limits_.progress(1);
  co_return self->plan_->report();
}

// Others have work, so it neither gives way nor does the batcher learn of what it takes.
Task<WarmupReport> ModelWarmup::heat_newest(ModelWarmup* self, int instance) {
  if (self->groups_.size() > kGroupsMax) self->groups_.resize(kGroupsMax);
  std::vector<int> rows;
  for (const Group& group : self->groups_) rows.push_back(group.rows);
  self->first_ = instance;
  self->plan_.emplace(self->count_, rows, self->model_->max_batch(), self->limits_.budget);
  self->began_ = Clock::now();
  while (const std::optional<WarmupRun> run = self->next(instance))
    co_await heat_once(self, instance, *run);
  co_return self->plan_->report();
}

Task<void> ModelWarmup::heat_instance(ModelWarmup* self, int instance) {
  for (;;) {
    co_await give_way(self);
    const std::optional<WarmupRun> run = self->next(instance);
    if (!run) co_return;
    co_await heat_once(self, instance, *run);
  }
}

// Whoever asks already is to have the machine.
Task<void> ModelWarmup::give_way(ModelWarmup* self) {
  while (self->model_->busy() && self->elapsed() < self->limits_.budget)
    co_await sleep_for(kWayLook);
}

Task<void> ModelWarmup::heat_once(ModelWarmup* self, int instance, WarmupRun run) {
  const Group& group = self->groups_[run.shape];
  std::vector<Tensors> requests;
  std::vector<std::size_t> which;
  for (int i = 0; i < run.copies; ++i) {
    which.push_back(group.samples[static_cast<std::size_t>(i) % group.samples.size()]);
    requests.push_back(self->samples_[which.back()].inputs);
  }
  bool loaded = false;
  {
    const std::lock_guard lock(self->mutex_);
    loaded = ++self->running_ == self->count_;
  }
  BatchedModel::Trial trial;
  std::optional<Error> failed;
  try {
    Task<BatchedModel::Trial> task = self->model_->run_on(instance, std::move(requests));
    Task<BatchedModel::Trial> bounded =
        with_deadline(std::move(task), self->began_ + self->limits_.budget);
    trial = co_await std::move(bounded);
  } catch (const Error& error) {
    failed = error;
  }
  // Its time is over, or a request wanted the instance: it is not the sample's fault.
  const bool given_up =
      failed && (failed->code() == Code::kDeadlineExceeded || failed->code() == Code::kAborted);
  {
    const std::lock_guard lock(self->mutex_);
    --self->running_;
    if (failed && !given_up) self->plan_->drop_shape(run.shape);
  }
  if (failed) {
    if (!given_up) model::pass_over(self->samples_[which.front()], *failed, self->model_->name());
    co_return;
  }
  for (std::size_t i = 0; i < which.size(); ++i)
    model::check_answer(self->samples_[which[i]], trial.outputs[i], self->limits_.tolerance);
  self->took(instance, run, trial.took, loaded);
}

std::optional<WarmupRun> ModelWarmup::next(int instance) {
  const Duration since = elapsed();
  double progress = 0;
  std::optional<WarmupRun> run;
  {
    const std::lock_guard lock(mutex_);
    run = plan_->next(instance - first_, since);
    progress = plan_->progress(since);
  }
  if (limits_.progress) limits_.progress(progress);
  return run;
}

// The first run of a cell is the one that warms it, and says nothing of what comes.
void ModelWarmup::took(int instance, const WarmupRun& run, Duration duration, bool loaded) {
  {
    const std::lock_guard lock(mutex_);
    plan_->took(instance - first_, run, duration);
  }
  if (run.number > 0 && first_ == 0)
    model_->learn(groups_[run.shape].key, run.rows, loaded, duration);
}

}  // namespace baozi::pipeline
