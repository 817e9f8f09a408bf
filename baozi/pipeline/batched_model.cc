#include "baozi/pipeline/batched_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <utility>

#include "baozi/base/cores.h"
#include "baozi/base/error.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/pipeline/batched_model_parts.h"

namespace baozi::pipeline {
namespace {

BatchedModelOptions checked(BatchedModelOptions options, const engine::Model& model) {
  const auto fail = [&](std::string_view why) {
    throw Error(Code::kInvalidArgument, fmt::format("model '{}': {}", options.name, why));
  };
  if (options.instances < 0 || options.instances > 256) fail("instances must be in 0 … 256");
  if (options.batch.max_batch < 1 || options.batch.max_batch > LatencyModel::kRowsMax) {
    fail(fmt::format("max_batch must be in 1 … {}", LatencyModel::kRowsMax));
  }
  if (options.batch.queue_max < 1 || options.batch.queue_max > 1'000'000)
    fail("queue_max must be in 1 … 1000000");
  if (options.batch.max_delay < Duration::zero()) fail("max_delay must not be negative");
  if (options.batch.hold_share < 0 || options.batch.hold_share > 1)
    fail("hold_share must be in 0 … 1");
  if (!model.signature().batchable()) options.batch.max_batch = 1;
  if (options.instances == 0) options.instances = usable_cores();
  if (options.instances_max > 256) fail("instances.max must be in 1 … 256");
  options.instances_max = std::max(options.instances_max, options.instances);
  if (!model.capabilities().concurrent_instances) options.instances = options.instances_max = 1;
  return options;
}

std::uint64_t ns_between(Time from, Time to) noexcept {
  return to > from ? static_cast<std::uint64_t>((to - from) / std::chrono::nanoseconds(1)) : 0;
}

void add_to(model::Statistics::Duration& sum, std::uint64_t count, std::uint64_t ns) noexcept {
  sum.count += count;
  sum.ns += ns;
}

}  // namespace

BatchedModel::BatchedModel(std::shared_ptr<engine::Model> model, BatchedModelOptions options)
    : model_(std::move(model)),
      layout_(model_->signature(), options.pad),
      options_(checked(std::move(options), *model_)),
      origin_{options_.file, model_->metadata()},
      metrics_(
          std::make_unique<Metrics>(options_.name, options_.instances, options_.instances_max)),
      pool_({.bytes_max = options_.buffer_bytes_max, .option = "buffer_bytes_max", .reserve = {}}),
      instances_(options_.instances),
      queue_(options_.batch, options_.instances, options_.instances_max),
      timer_(*this) {
  actions_.batch.reserve(static_cast<std::size_t>(options_.batch.max_batch));
  actions_.expired.reserve(Actions::kExpiredMax);
  statistics_.batches.resize(static_cast<std::size_t>(options_.batch.max_batch));
  slots_.resize(static_cast<std::size_t>(options_.instances_max));
  for (int i = 0; i < options_.instances; ++i)
    slots_[static_cast<std::size_t>(i)] = std::make_unique<Slot>(*this, i);
}

BatchedModel::~BatchedModel() {
  Burst::end_current();
  gate_.wait_until_empty();
  {
    // Waits for a submit or a callback that has resumed its waiter and not yet let go of the lock.
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  timer::cancel(timer_);
}

model::Statistics BatchedModel::statistics() const {
  const std::lock_guard lock(mutex_);
  model::Statistics copy = statistics_;
  std::erase_if(copy.batches, [](const auto& batch) { return batch.compute_infer.count == 0; });
  return copy;
}

std::optional<model::Refusal> BatchedModel::refusal() const noexcept {
  const std::size_t queued = queued_.load(std::memory_order_relaxed);
  if (queued < static_cast<std::size_t>(options_.batch.queue_max)) return std::nullopt;
  return model::Refusal{"the model's queue is full", rate_.seconds_for(queued)};
}

// Ten thousand requests may wait here at once: the frame holds the request, which becomes the
// answer, and the waiter.
Task<model::InferResponse> BatchedModel::infer(model::InferRequest request) {
  const Context& context = co_await this_context();
  Waiter waiter(*this, request, context);
  const InFlight in_flight(*metrics_->in_flight);
  prepare(waiter);
  // Whoever sets a deadline also stops its token then; a bare deadline has nobody to wake the
  // request.
  if (context.deadline != kNever && !context.stop.stop_possible()) {
    Task<void> bounded = with_deadline(wait_for(&waiter), context.deadline);
    co_await std::move(bounded);
  } else {
    const StopCallback<StopWaiter> on_stop(context.stop, StopWaiter{&waiter});
    co_await waiter;
  }
  waiter.finish();
  co_return answer_from(std::move(request));
}

Task<void> BatchedModel::wait_for(Waiter* waiter) {
  const Context& context = co_await this_context();
  const StopCallback<StopWaiter> on_stop(context.stop, StopWaiter{waiter});
  co_await *waiter;
}

// Of a request that has run: its inputs hold the outputs.
model::InferResponse BatchedModel::answer_from(model::InferRequest request) const {
  return {.model = options_.name,
          .version = options_.version,
          .id = std::move(request.id),
          .outputs = std::move(request.inputs),
          .parameters = {}};
}

void BatchedModel::prepare(Waiter& waiter) const {
  model::InferRequest& request = waiter.request;
  const Fit fits = fit(request.inputs);
  for (const std::string& wanted : request.outputs) {
    if (model_->signature().output_index(wanted) >= 0) continue;
    std::vector<std::string_view> names;
    for (const engine::TensorSpec& output : model_->signature().outputs)
      names.push_back(output.name);
    throw Error(Code::kInvalidArgument, fmt::format("model '{}' has no output '{}'; there are: {}",
                                                    options_.name, wanted, fmt::join(names, ", ")));
  }
  waiter.rows = fits.rows;
  waiter.shape_key = fits.shape_key;
}

BatchedModel::Fit BatchedModel::fit(Tensors& inputs) const {
  const std::int64_t rows = layout_.check_inputs(inputs);
  if (rows > options_.batch.max_batch) {
    throw Error(Code::kInvalidArgument,
                fmt::format("the request has {} rows, but model '{}' takes at most {} (batch.max)",
                            rows, options_.name, options_.batch.max_batch));
  }
  return {static_cast<int>(rows), layout_.shape_key(inputs)};
}

// The waiter may be resumed and gone as soon as the lock is free, and with it whoever kept this
// model from being destroyed: what comes after the lock is in the gate.
bool BatchedModel::submit(Waiter& waiter) noexcept {
  bool defer = false;
  {
    const std::lock_guard lock(mutex_);
    if (waiter.stopped() != Code::kOk || !enqueue_locked(waiter)) return false;
    if (!Burst::is_open() || queue_.idle_instances() == 0) {
      advance_locked(waiter.enqueued);
    } else if (!deferred_) {
      deferred_ = defer = true;
      gate_.enter();
    }
  }
  if (defer) Burst::defer(*this);
  return true;
}

bool BatchedModel::enqueue_locked(Waiter& waiter) noexcept {
  std::uint32_t bucket = BatchQueue::kNoBucket;
  try {
    bucket = queue_.bucket(waiter.shape_key);
  } catch (const std::bad_alloc&) {
    // As if there were too many buckets.
  }
  if (queue_.full() || bucket == BatchQueue::kNoBucket) {
    waiter.refused = true;
    if (waiter.counted()) add_to(statistics_.fail, 1, ns_between(waiter.arrived, Clock::now()));
    return false;
  }
  waiter.enqueued = Clock::now();
  waiter.state = Waiter::State::kQueued;
  waiter.handle = queue_.add({.id = reinterpret_cast<std::uintptr_t>(&waiter),
                              .rows = waiter.rows,
                              .bucket = bucket,
                              .priority = waiter.request.priority,
                              .deadline = waiter.context.deadline,
                              .enqueued = waiter.enqueued});
  return true;
}

void BatchedModel::burst_ended() noexcept {
  {
    const std::lock_guard lock(mutex_);
    deferred_ = false;
    advance_locked(Clock::now());
  }
  gate_.leave();
}

void BatchedModel::stop_waiter(Waiter& waiter, Code reason) noexcept {
  const std::lock_guard lock(mutex_);
  waiter.stop_code.store(reason, std::memory_order_relaxed);
  if (waiter.state == Waiter::State::kQueued) {
    queue_.remove(waiter.handle);
    waiter.state = Waiter::State::kDone;
    if (waiter.counted()) add_to(statistics_.fail, 1, ns_between(waiter.arrived, Clock::now()));
    publish_length_locked(is_elastic() ? Clock::now() : Time{});
    waiter.promise->resume_later();
  } else if (waiter.state == Waiter::State::kRunning) {
    Slot& slot = *waiter.slot;
    if (++slot.stopped == slot.batch.size()) slot.stop->request_stop(reason);
  }
}

void BatchedModel::WakeTimer::fire(TimerEntry* entry) noexcept {
  static_cast<WakeTimer*>(entry)->model_.wake();
}

void BatchedModel::wake() noexcept {
  const std::lock_guard lock(mutex_);
  timer_armed_ = false;
  if (!closing_) advance_locked(Clock::now());
}

void BatchedModel::advance_locked(Time now) noexcept {
  do {
    decide(queue_, now, actions_);
    queue_.apply(actions_, now);
    for (const Picked& picked : actions_.expired) {
      Waiter& waiter = *reinterpret_cast<Waiter*>(static_cast<std::uintptr_t>(picked.id));
      waiter.stop_code.store(Code::kDeadlineExceeded, std::memory_order_relaxed);
      waiter.state = Waiter::State::kDone;
      if (waiter.counted()) add_to(statistics_.fail, 1, ns_between(waiter.arrived, now));
      waiter.promise->resume_later();
    }
    if (actions_.instance >= 0) dispatch_locked(now);
  } while (actions_.any());
  publish_length_locked(now);
  // One timer: it never has to fire earlier than it was armed for by more than a hold, which is
  // short. Deadlines need none: whoever sets one stops the request's token.
  if (actions_.ready_at != kNever && !timer_armed_) {
    timer_armed_ = true;
    timer::add(timer_, actions_.ready_at);
  }
}

void BatchedModel::publish_length_locked(Time now) noexcept {
  const std::size_t queued = queue_.size();
  if (is_elastic()) {
    meter_.set(now, queued, queue_.instances() - queue_.idle_instances());
    if (queued > 0 && waiting_ != nullptr) std::exchange(waiting_, nullptr)->set();
  }
  if (queued_.load(std::memory_order_relaxed) == queued) return;
  queued_.store(queued, std::memory_order_relaxed);
  metrics_->queue_length->Set(static_cast<double>(queued));
}

void BatchedModel::dispatch_locked(Time now) noexcept {
  Slot& slot = *slots_[static_cast<std::size_t>(actions_.instance)];
  slot.rows = actions_.rows;
  slot.stopped = 0;
  slot.stop.emplace();
  for (const Picked& picked : actions_.batch) {
    auto* waiter = reinterpret_cast<Waiter*>(static_cast<std::uintptr_t>(picked.id));
    waiter->state = Waiter::State::kRunning;
    waiter->slot = &slot;
    waiter->started = now;
    slot.batch.push_back(waiter);
  }
  if (slot.trial != nullptr) slot.trial->request_stop(Code::kAborted);
  if (slot.in_loop) return;  // its lane is about to look
  slot.in_loop = true;
  slot.lane.post(slot);
}

void BatchedModel::count_batch_locked(const Slot& slot, Time now) {
  const std::uint64_t input_ns = ns_between(slot.began, slot.gathered);
  const std::uint64_t infer_ns = ns_between(slot.gathered, slot.computed);
  const std::uint64_t output_ns = ns_between(slot.computed, now);
  std::uint64_t rows = 0;
  std::uint64_t succeeded = 0;
  for (const Waiter* waiter : slot.batch) {
    if (!waiter->counted()) continue;
    const bool ok = waiter->succeeded && waiter->stopped() == Code::kOk;
    add_to(ok ? statistics_.success : statistics_.fail, 1, ns_between(waiter->arrived, now));
    if (!ok) continue;
    add_to(statistics_.queue, 1, ns_between(waiter->enqueued, waiter->started));
    rows += static_cast<std::uint64_t>(waiter->rows);
    ++succeeded;
  }
  if (succeeded == 0) return;
  statistics_.inference_count += rows;
  statistics_.execution_count += 1;
  statistics_.last_inference_ms = static_cast<std::uint64_t>(
      std::chrono::system_clock::now().time_since_epoch() / std::chrono::milliseconds(1));
  add_to(statistics_.compute_input, succeeded, input_ns * succeeded);
  add_to(statistics_.compute_infer, succeeded, infer_ns * succeeded);
  add_to(statistics_.compute_output, succeeded, output_ns * succeeded);
  model::Statistics::Batch& batch = statistics_.batches[static_cast<std::size_t>(slot.rows) - 1];
  batch.size = static_cast<std::uint64_t>(slot.rows);
  add_to(batch.compute_input, 1, input_ns);
  add_to(batch.compute_infer, 1, infer_ns);
  add_to(batch.compute_output, 1, output_ns);
}

}  // namespace baozi::pipeline
