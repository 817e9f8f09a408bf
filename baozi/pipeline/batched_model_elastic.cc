// The part of BatchedModel that makes and ends instances while it serves.
#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/pipeline/batched_model_parts.h"

namespace baozi::pipeline {

std::size_t BatchedModel::memory_bytes() const noexcept {
  return model_->memory_bytes() +
         static_cast<std::size_t>(instances() - 1) * model_->instance_bytes();
}

int BatchedModel::make_instance() {
  const auto empty = std::ranges::find_if(slots_, [](const auto& slot) { return slot == nullptr; });
  if (empty == slots_.end()) {
    throw Error(Code::kResourceExhausted,
                fmt::format("model '{}' has its {} instances (instances.max)", options_.name,
                            options_.instances_max));
  }
  const auto number = static_cast<int>(empty - slots_.begin());
  std::unique_ptr<Slot> made;
  try {
    made = std::make_unique<Slot>(*this, number);
  } catch (const std::system_error& error) {
    throw Error(Code::kResourceExhausted,
                fmt::format("model '{}': there is no thread for one more instance: {}",
                            options_.name, error.what()));
  }
  const std::lock_guard lock(mutex_);
  *empty = std::move(made);
  return number;
}

void BatchedModel::put_to_work(int instance) noexcept {
  const std::lock_guard lock(mutex_);
  queue_.add_instance(instance);
  instances_.fetch_add(1, std::memory_order_relaxed);
  metrics_->count_instances(1);
  advance_locked(Clock::now());
}

// Its lane ends outside of the lock, which the end of its last batch may still want.
void BatchedModel::discard_instance(int instance) noexcept {
  std::unique_ptr<Slot> leaving;
  const std::lock_guard lock(mutex_);
  leaving = std::move(slots_[static_cast<std::size_t>(instance)]);
}

bool BatchedModel::end_idle_instance() noexcept {
  std::unique_ptr<Slot> leaving;
  {
    const std::lock_guard lock(mutex_);
    const int index = queue_.remove_idle_instance(options_.instances);
    if (index < 0) return false;
    leaving = std::move(slots_[static_cast<std::size_t>(index)]);
    instances_.fetch_sub(1, std::memory_order_relaxed);
    metrics_->count_instances(-1);
    meter_.set(Clock::now(), queue_.size(), queue_.instances() - queue_.idle_instances());
  }
  return true;
}

Load BatchedModel::load(Time now) noexcept {
  const std::lock_guard lock(mutex_);
  Load load = meter_.take(now);
  load.instances = queue_.instances();
  load.rows = statistics_.inference_count;
  load.runs = statistics_.execution_count;
  return load;
}

void BatchedModel::tell_when_waiting(std::shared_ptr<Event> event) noexcept {
  const std::lock_guard lock(mutex_);
  if (queue_.size() > 0) {
    event->set();
  } else {
    waiting_ = std::move(event);
  }
}

}  // namespace baozi::pipeline
