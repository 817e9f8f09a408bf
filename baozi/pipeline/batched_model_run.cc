// The part of BatchedModel that runs on the lanes: gather, run, hand out.
#include <prometheus/histogram.h>

#include <fmt/format.h>

#include <algorithm>

#include "baozi/base/error.h"
#include "baozi/base/metrics.h"
#include "baozi/coro/trace.h"
#include "baozi/pipeline/batched_model_parts.h"

namespace baozi::pipeline {
namespace {

double seconds(Time from, Time to) noexcept {
  return std::chrono::duration<double>(to - from).count();
}

prometheus::Histogram* times(const char* name, const char* help, const std::string& model) {
  return &metrics::histogram(name, help, metrics::latency_bounds(), {{"model", model}});
}

}  // namespace

BatchedModel::Metrics::Metrics(const std::string& model, int least, int max)
    : most(max),
      instances(&metrics::gauge("baozi_instances", "Batches that can run beside each other",
                                {{"model", model}})),
      instances_max(&metrics::gauge("baozi_instances_max", "Up to which the instances may grow",
                                    {{"model", model}})),
      queue_length(&metrics::gauge("baozi_queue_length", "Requests that wait for an instance",
                                   {{"model", model}})),
      in_flight(
          &metrics::gauge("baozi_in_flight", "Requests that wait or run", {{"model", model}})),
      batch_size(&metrics::histogram("baozi_batch_size", "Rows of the batches that ran",
                                     {1, 2, 4, 8, 16, 32, 64, 128, 256}, {{"model", model}})),
      queue_seconds(times("baozi_queue_seconds", "Time a request waited for an instance", model)),
      compute_seconds(times("baozi_compute_seconds", "Time a batch ran", model)) {
  instances_max->Increment(most);
  count_instances(least);
}

BatchedModel::Metrics::~Metrics() {
  count_instances(-counted);
  instances_max->Decrement(most);
}

void BatchedModel::Metrics::count_instances(int change) noexcept {
  counted += change;
  instances->Increment(change);
}

BatchedModel::Slot::Slot(BatchedModel& owner, int number)
    : model(owner),
      index(number),
      instance(owner.model_->create_instance(owner.pool_)),
      lane(fmt::format("{}/{}", owner.options_.name, number)) {
  run = [](Work* work) noexcept {
    Slot& slot = *static_cast<Slot*>(work);
    slot.model.execute(slot);
  };
  const auto batch_max = static_cast<std::size_t>(owner.options_.batch.max_batch);
  batch.reserve(batch_max);
  done.reserve(batch_max);
  parts.reserve(batch_max);
  const engine::Signature& signature = owner.model_->signature();
  inputs.resize(signature.inputs.size());
  outputs.resize(signature.outputs.size());
  scattered.reserve(signature.outputs.size());
}

void BatchedModel::StopWaiter::operator()() noexcept {
  waiter->model.stop_waiter(*waiter, waiter->context.stop.reason());
}

void BatchedModel::Waiter::finish() {
  if (context.trace != nullptr && started != Time{}) {
    context.trace->add("queue", enqueued, started);
    context.trace->add("model", started, ended);
  }
  if (stopped() != Code::kOk) throw stopped_error(stopped());
  if (refused) {
    throw Error(Code::kResourceExhausted,
                fmt::format("model '{}': the queue is full ({} requests, queue_max)",
                            model.options_.name, model.options_.batch.queue_max));
  }
  if (error) std::rethrow_exception(std::move(error));
}

void BatchedModel::execute(Slot& slot) noexcept {
  for (bool more = true; more;) {
    run_batch(slot);
    const Time now = Clock::now();
    for (Waiter* waiter : slot.batch) waiter->ended = now;
    observe(slot, now);
    rate_.done(static_cast<std::uint32_t>(slot.batch.size()), now);
    {
      const std::lock_guard lock(mutex_);
      count_batch_locked(slot, now);
      for (Waiter* waiter : slot.batch) waiter->state = Waiter::State::kDone;
      slot.done.swap(slot.batch);
      queue_.began(slot.index, slot.began);
      queue_.finished(slot.index, now, !slot.failed);
      advance_locked(now);
      more = !slot.batch.empty();
      slot.in_loop = more;
    }
    // Batches one after the other must not keep a warm-up's run from its turn on this lane.
    const bool others_wait = more && slot.lane.has_waiting();
    // From here on `slot.batch` may be the next batch; the frames of the last one go when their
    // waiters are resumed.
    for (Waiter* waiter : slot.done) waiter->promise->resume_later();
    slot.done.clear();
    if (!others_wait) continue;
    slot.lane.post(slot);
    return;
  }
}

void BatchedModel::observe(const Slot& slot, Time now) noexcept {
  const bool counted =
      std::ranges::any_of(slot.batch, [](const Waiter* waiter) { return waiter->counted(); });
  if (!counted) return;
  metrics_->batch_size->Observe(slot.rows);
  metrics_->compute_seconds->Observe(seconds(slot.began, now));
  for (const Waiter* waiter : slot.batch) {
    if (waiter->counted())
      metrics_->queue_seconds->Observe(seconds(waiter->enqueued, waiter->started));
  }
}

// One bad row must not fail its neighbours: when a batch of several fails, each is run alone, once.
void BatchedModel::run_batch(Slot& slot) noexcept {
  slot.failed = false;
  slot.began = slot.gathered = slot.computed = Clock::now();
  const auto run_some = [&](std::span<Waiter* const> waiters) {
    try {
      run_together(slot, waiters, slot.stop->token());
      return std::exception_ptr();
    } catch (...) {
      slot.failed = true;
      return std::current_exception();
    }
  };
  std::exception_ptr error = run_some(slot.batch);
  if (error && slot.batch.size() == 1) slot.batch.front()->error = std::move(error);
  if (slot.failed && slot.batch.size() > 1) {
    for (Waiter*& waiter : slot.batch) {
      if (!waiter->succeeded && waiter->stopped() == Code::kOk)
        waiter->error = run_some(std::span(&waiter, 1));
    }
  }
  for (Tensor& tensor : slot.inputs) tensor = Tensor();
  for (Tensor& tensor : slot.outputs) tensor = Tensor();
}

void BatchedModel::run_together(Slot& slot, std::span<Waiter* const> waiters, StopToken stop) {
  gather(slot, waiters);
  slot.gathered = Clock::now();
  for (Tensor& tensor : slot.outputs) tensor = Tensor();
  slot.instance->run(slot.inputs, slot.outputs, std::move(stop));
  slot.computed = Clock::now();
  hand_out(slot, waiters);
}

void BatchedModel::gather(Slot& slot, std::span<Waiter* const> waiters) {
  if (waiters.size() == 1) {
    const Tensors& inputs = waiters.front()->request.inputs;
    for (std::size_t i = 0; i < slot.inputs.size(); ++i) slot.inputs[i] = inputs[i].tensor;
    return;
  }
  slot.parts.clear();
  for (const Waiter* waiter : waiters) slot.parts.push_back(&waiter->request.inputs);
  for (std::size_t i = 0; i < slot.inputs.size(); ++i)
    slot.inputs[i] = layout_.gather(i, slot.parts, pool_);
}

// The outputs take the place of the inputs in the request: their vector is there already.
void BatchedModel::hand_out(Slot& slot, std::span<Waiter* const> waiters) {
  const std::vector<engine::TensorSpec>& specs = model_->signature().outputs;
  if (waiters.size() > 1) {
    const std::int64_t rows = slot.inputs.front().shape()[0];
    for (std::size_t o = 0; o < specs.size(); ++o) layout_.check_output(o, slot.outputs[o], rows);
  }
  std::int64_t first = 0;
  for (Waiter* waiter : waiters) {
    Tensors& tensors = waiter->request.inputs;
    const std::vector<std::string>& wanted = waiter->request.outputs;
    slot.scattered.clear();
    for (std::size_t k = 0; k < (wanted.empty() ? specs.size() : wanted.size()); ++k) {
      const auto o = wanted.empty()
                         ? k
                         : static_cast<std::size_t>(model_->signature().output_index(wanted[k]));
      slot.scattered.push_back(waiters.size() == 1
                                   ? slot.outputs[o]
                                   : layout_.scatter(o, slot.outputs[o], first, waiter->rows,
                                                     tensors, slot.inputs, pool_));
    }
    tensors.resize(slot.scattered.size());
    for (std::size_t k = 0; k < tensors.size(); ++k) {
      tensors[k].name = wanted.empty() ? specs[k].name : wanted[k];
      tensors[k].tensor = std::move(slot.scattered[k]);
    }
    waiter->succeeded = true;
    first += waiter->rows;
  }
}

}  // namespace baozi::pipeline
