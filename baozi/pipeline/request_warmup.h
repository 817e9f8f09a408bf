// RequestWarmup: warms up whatever answers requests, a pipeline above all, by asking it. The
// requests are counted in no statistics, neither its own nor those of the models it asks.
//
//   RequestWarmup warmup(pipeline, samples, {.budget = 500ms});
//
// What is passed over, and thread safety: as in model_warmup.h.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "baozi/model/servable.h"
#include "baozi/model/warmup.h"
#include "baozi/model/warmup_sample.h"

namespace baozi::pipeline {

class RequestWarmup final : public model::Warmup {
 public:
  // Errors: kInvalidArgument for a given sample that does not fit the signature, with the sample's
  // file and the input.
  RequestWarmup(std::shared_ptr<model::Servable> servable, std::vector<model::WarmupSample> samples,
                model::WarmupLimits limits);

  Task<void> prove() override { return prove(this); }
  Task<model::WarmupReport> heat() override { return heat(this); }

 private:
  static Task<void> prove(RequestWarmup* self);
  static Task<model::WarmupReport> heat(RequestWarmup* self);
  // What the sample's request took; nothing: it was passed over, or the deadline came.
  static Task<std::optional<Duration>> ask(RequestWarmup* self, std::size_t sample, Time deadline);

  const std::shared_ptr<model::Servable> servable_;
  const model::WarmupLimits limits_;
  std::vector<model::WarmupSample> samples_;
  bool hopeless_ = false;  // one run of a synthesised sample takes more than the budget
};

// The samples a servable brings along, else ones of its signature.
std::vector<model::WarmupSample> own_samples(const model::Servable& servable);

}  // namespace baozi::pipeline
