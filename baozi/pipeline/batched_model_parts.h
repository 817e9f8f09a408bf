// The inner parts of BatchedModel, for its two source files only.
#pragma once

#include <prometheus/gauge.h>

#include <exception>
#include <optional>
#include <vector>

#include "baozi/coro/task.h"
#include "baozi/coro/trace.h"
#include "baozi/pipeline/batched_model.h"

namespace prometheus {
class Histogram;
}

namespace baozi::pipeline {

struct BatchedModel::Metrics {
  Metrics(const std::string& model, int least, int most);
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;
  ~Metrics();

  // Of all versions of a model together.
  void count_instances(int change) noexcept;

  const int most;
  int counted = 0;  // instances
  prometheus::Gauge* instances;
  prometheus::Gauge* instances_max;
  prometheus::Gauge* queue_length;
  prometheus::Gauge* in_flight;
  prometheus::Histogram* batch_size;
  prometheus::Histogram* queue_seconds;
  prometheus::Histogram* compute_seconds;
};

class InFlight {
 public:
  explicit InFlight(prometheus::Gauge& gauge) noexcept : gauge_(gauge) { gauge_.Increment(); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight() { gauge_.Decrement(); }

 private:
  prometheus::Gauge& gauge_;
};

// A request in its coroutine's frame: queued, then running, then done. Awaiting it submits it.
struct BatchedModel::Waiter {
  enum class State : std::uint8_t { kNew, kQueued, kRunning, kDone };

  Waiter(BatchedModel& owner, model::InferRequest& of, const Context& in) noexcept
      : model(owner), request(of), context(in) {}

  bool await_ready() const noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> coroutine) noexcept {
    promise = &coroutine.promise();
    return model.submit(*this);
  }
  void await_resume() const noexcept {}

  Code stopped() const noexcept { return stop_code.load(std::memory_order_relaxed); }
  // A warm-up's, whose trace is of no request, is not.
  bool counted() const noexcept { return context.trace == nullptr || context.trace->id() != 0; }
  // Notes the stages; throws unless the outputs are there, in request.inputs.
  void finish();

  BatchedModel& model;
  model::InferRequest& request;  // once it has run, its inputs hold the outputs
  const Context& context;
  detail::PromiseBase* promise = nullptr;
  const Time arrived = Clock::now();
  int rows = 1;
  std::uint64_t shape_key = 0;

  // Guarded by the model's mutex_ until the waiter is resumed:
  State state = State::kNew;
  bool refused = false;
  Handle handle = 0;
  Slot* slot = nullptr;
  Time enqueued{};
  Time started{};
  std::atomic<Code> stop_code{Code::kOk};

  // Written by the slot's lane before the waiter is resumed:
  bool succeeded = false;
  std::exception_ptr error;
  Time ended{};
};

// An instance, its lane and the batch it runs. As a Work it starts the lane's loop.
struct BatchedModel::Slot final : Work {
  Slot(BatchedModel& owner, int number);

  BatchedModel& model;
  const int index;

  // Guarded by the model's mutex_; while a batch runs, `batch` and `rows` are the lane's to read.
  std::vector<Waiter*> batch;
  int rows = 0;
  std::size_t stopped = 0;
  std::optional<StopSource> stop;
  bool in_loop = false;
  StopSource* trial = nullptr;  // of a warm-up's run on the lane

  // The lane's:
  std::vector<Waiter*> done;
  std::vector<const Tensors*> parts;
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;
  std::vector<Tensor> scattered;
  Time began{};
  Time gathered{};
  Time computed{};
  bool failed = false;

  std::unique_ptr<engine::Instance> instance;
  Lane lane;  // last: ends before what it uses
};

}  // namespace baozi::pipeline
