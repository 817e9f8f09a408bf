// The part of BatchedModel that warm-up uses: batches on an instance of its choice, uncounted.
#include <deque>
#include <utility>

#include "baozi/coro/this_task.h"
#include "baozi/pipeline/batched_model_parts.h"

namespace baozi::pipeline {

struct BatchedModel::FollowStop {
  StopSource* stop;
  StopToken of;
  void operator()() noexcept { stop->request_stop(of.reason()); }
};

// While it lives, a request that is given to the slot stops the trial that runs there.
class BatchedModel::TrialScope {
 public:
  TrialScope(BatchedModel& model, Slot& slot, StopSource& stop) : model_(model), slot_(slot) {
    const std::lock_guard lock(model_.mutex_);
    if (slot_.in_loop) throw stopped_error(Code::kAborted);
    slot_.trial = &stop;
  }
  TrialScope(const TrialScope&) = delete;
  TrialScope& operator=(const TrialScope&) = delete;
  ~TrialScope() {
    // The batch's memory is let go of, also when the trial failed.
    for (Tensor& tensor : slot_.inputs) tensor = Tensor();
    for (Tensor& tensor : slot_.outputs) tensor = Tensor();
    const std::lock_guard lock(model_.mutex_);
    slot_.trial = nullptr;
  }

 private:
  BatchedModel& model_;
  Slot& slot_;
};

// On the lane the coroutine stands between two batches, so the slot's working memory is its own.
// What of the slot the mutex guards (its batch, its stop) may change meanwhile, and is not touched.
Task<BatchedModel::Trial> BatchedModel::run_on(int instance, std::vector<Tensors> requests) {
  const Context& context = co_await this_context();
  Slot& slot = *slots_[static_cast<std::size_t>(instance)];
  co_await switch_to(slot.lane);
  throw_if_stopped(context.stop);
  std::deque<model::InferRequest> asked;
  std::deque<Waiter> waiters;
  std::vector<Waiter*> batch;
  for (Tensors& inputs : requests) {
    asked.emplace_back().inputs = std::move(inputs);
    Waiter& waiter = waiters.emplace_back(*this, asked.back(), context);
    waiter.rows = fit(asked.back().inputs).rows;
    batch.push_back(&waiter);
  }
  StopSource stop;
  const StopCallback<FollowStop> follow(context.stop, FollowStop{&stop, context.stop});
  const TrialScope scope(*this, slot, stop);
  const Time begin = Clock::now();
  run_together(slot, batch, stop.token());
  Trial trial{.took = Clock::now() - begin};
  for (model::InferRequest& request : asked) trial.outputs.push_back(std::move(request.inputs));
  co_return trial;
}

void BatchedModel::learn(std::uint64_t shape_key, int rows, bool loaded, Duration took) {
  const std::lock_guard lock(mutex_);
  const std::uint32_t bucket = queue_.bucket(shape_key);
  if (bucket != BatchQueue::kNoBucket) queue_.learn(bucket, rows, loaded, took);
}

bool BatchedModel::busy() const noexcept {
  const std::lock_guard lock(mutex_);
  return queue_.size() > 0 || queue_.running_rows() > 0;
}

}  // namespace baozi::pipeline
