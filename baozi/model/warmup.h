// Warmup: what makes a servable hot before it is called ready, in two steps. It is proved first,
// and may answer from then on; then it is heated until its latency has converged.
//
//   co_await warmup->prove();          throws: it must not be served
//   WarmupReport report = co_await warmup->heat();
//
// Thread safety: one task at a time. A Warmup outlives its tasks.
#pragma once

#include <chrono>
#include <functional>

#include "baozi/coro/task.h"
#include "baozi/model/warmup_plan.h"

namespace baozi::model {

struct WarmupLimits {
  Duration budget = std::chrono::milliseconds(500);  // of heat()
  double tolerance = 1e-3;                           // see check_equal
  std::function<void(double)> progress = {};         // told of [0, 1] by heat(); may be null
};

class Warmup {
 public:
  virtual ~Warmup() = default;

  // Runs every sample that was given or recorded once, else the first that was synthesised, which
  // gets no more time than the budget, and checks what comes. Errors: kFailedPrecondition (an
  // output is wrong), what the model throws on a given sample, both with the sample's name;
  // kCancelled.
  virtual Task<void> prove() = 0;
  // Makes it hot, within the budget. Requests that come meanwhile go first. Errors: as prove.
  virtual Task<WarmupReport> heat() = 0;
};

}  // namespace baozi::model
