#include "baozi/pipeline/request_warmup.h"

#include <fmt/format.h>

#include <utility>

#include "baozi/base/error.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/trace.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/model/warmup_check.h"
#include "baozi/model/warmup_synthesis.h"

namespace baozi::pipeline {

using model::SampleOrigin;
using model::WarmupReport;
using model::WarmupRun;
using model::WarmupSample;

namespace {

void check_inputs(const engine::Signature& signature, const Tensors& inputs) {
  for (const engine::TensorSpec& spec : signature.inputs)
    engine::check_fits(spec, get_tensor(inputs, spec.name));
}

}  // namespace

std::vector<WarmupSample> own_samples(const model::Servable& servable) {
  std::vector<WarmupSample> samples;
  for (Tensors& inputs : servable.samples()) {
    samples.push_back({.inputs = std::move(inputs),
                       .origin = SampleOrigin::kSynthesised,
                       .from = fmt::format("sample {} of its own", samples.size() + 1)});
  }
  return samples.empty() ? model::synthesise_samples(servable.signature()) : samples;
}

RequestWarmup::RequestWarmup(std::shared_ptr<model::Servable> servable,
                             std::vector<WarmupSample> samples, model::WarmupLimits limits)
    : servable_(std::move(servable)), limits_(std::move(limits)) {
  for (WarmupSample& sample : samples) {
    try {
      check_inputs(servable_->signature(), sample.inputs);
    } catch (const Error& error) {
      model::pass_over(sample, error, servable_->name());
      continue;
    }
    samples_.push_back(std::move(sample));
  }
}

Task<std::optional<Duration>> RequestWarmup::ask(RequestWarmup* self, std::size_t index,
                                                 Time deadline) {
  const Context& outer = co_await this_context();
  const WarmupSample& sample = self->samples_[index];
  RequestTrace trace(0);  // of no request, and so not counted
  const Context context{outer.stop, outer.deadline, &trace};
  model::InferRequest request;
  request.inputs = sample.inputs;
  const Time begin = Clock::now();
  model::InferResponse response;
  try {
    Task<model::InferResponse> task = self->servable_->infer(std::move(request));
    Task<model::InferResponse> bounded = with_deadline(std::move(task), deadline);
    response = co_await std::move(bounded).with_context(context);
  } catch (const Error& error) {
    if (error.code() != Code::kDeadlineExceeded)
      model::pass_over(sample, error, self->servable_->name());
    co_return std::nullopt;
  }
  const Duration took = Clock::now() - begin;
  model::check_answer(sample, response.outputs, self->limits_.tolerance);
  co_return took;
}

Task<void> RequestWarmup::prove(RequestWarmup* self) {
  for (std::size_t i = 0; i < self->samples_.size();) {
    const bool enough = self->samples_[i].origin == SampleOrigin::kSynthesised;
    const Time deadline = enough ? Clock::now() + self->limits_.budget : kNever;
    const std::optional<Duration> took = co_await ask(self, i, deadline);
    self->hopeless_ = !took && Clock::now() >= deadline;
    if (self->hopeless_ || (took && enough)) co_return;
    if (took) {
      ++i;
    } else {
      self->samples_.erase(self->samples_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }
}

Task<WarmupReport> RequestWarmup::heat(RequestWarmup* self) {
  const std::vector<int> rows(self->samples_.size(), 1);
  model::WarmupPlan plan(1, rows, 1, self->limits_.budget);
  // With no time left all of the plan is skipped, and the report says so.
  const Time began = self->hopeless_ ? Clock::now() - self->limits_.budget : Clock::now();
  for (;;) {
    const Duration elapsed = Clock::now() - began;
    const std::optional<WarmupRun> run = plan.next(0, elapsed);
    if (self->limits_.progress) self->limits_.progress(plan.progress(elapsed));
    if (!run) break;
    const std::optional<Duration> took =
        co_await ask(self, run->shape, began + self->limits_.budget);
    if (took) {
      plan.took(0, *run, *took);
    } else {
      plan.drop_shape(run->shape);
    }
  }
  co_return plan.report();
}

}  // namespace baozi::pipeline
