#include "baozi/model/traffic_recorder.h"

#include <algorithm>
#include <bit>

#include "baozi/base/log.h"
#include "baozi/base/replace_file.h"
#include "baozi/model/warmup_records.h"

namespace baozi::model {
namespace {

std::size_t bytes_of(const Tensors& tensors) noexcept {
  std::size_t bytes = 0;
  for (const NamedTensor& each : tensors) bytes += each.tensor.data().size();
  return bytes;
}

// Of requests that are alike for a warm-up: sizes count by powers of two.
std::uint64_t shape_of(const engine::Signature& signature, const Tensors& inputs) {
  std::uint64_t key = 0xcbf29ce484222325;
  for (const engine::TensorSpec& spec : signature.inputs) {
    for (const std::int64_t size : get_tensor(inputs, spec.name).shape()) {
      key ^= std::bit_ceil(static_cast<std::uint64_t>(size));
      key *= 0x100000001b3;
    }
  }
  return key;
}

Tensors copy_of(const Tensors& inputs) {
  Tensors copy;
  for (const NamedTensor& each : inputs) {
    copy.push_back({each.name, Tensor(each.tensor.dtype(), each.tensor.shape(),
                                      Bytes::copy_of(each.tensor.data().span()))});
  }
  return copy;
}

}  // namespace

TrafficRecorder::TrafficRecorder(std::string model, engine::Signature signature,
                                 RecorderOptions options)
    : model_(std::move(model)),
      signature_(std::move(signature)),
      options_(std::move(options)),
      reservoir_(options_.bytes_max),
      timer_(*this),
      lane_("record") {
  writing_.recorder = this;
  writing_.run = [](Work* work) noexcept { static_cast<Writing*>(work)->recorder->time_came(); };
}

TrafficRecorder::~TrafficRecorder() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  timer::cancel(timer_);
  write();
}

bool TrafficRecorder::fits(const Tensors& inputs) const noexcept {
  return inputs.size() == signature_.inputs.size() &&
         std::ranges::all_of(signature_.inputs, [&inputs](const engine::TensorSpec& spec) {
           const Tensor* tensor = find_tensor(inputs, spec.name);
           return tensor != nullptr && engine::fits(spec, *tensor);
         });
}

void TrafficRecorder::look(const Tensors& inputs) noexcept {
  if (!fits(inputs)) return;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || closing_) return;
  try {
    keep_locked(inputs);
    if (!changed_ || armed_) return;
    armed_ = true;
    timer::add(timer_, Clock::now() + options_.every);
  } catch (const std::exception&) {
    // No memory: this request is not recorded.
  }
}

void TrafficRecorder::keep_locked(const Tensors& inputs) {
  SampleReservoir::Place* const place =
      reservoir_.offer(shape_of(signature_, inputs), bytes_of(inputs));
  if (place == nullptr) return;
  place->inputs.clear();
  Tensors copy = copy_of(inputs);
  if (options_.redact != nullptr) options_.redact(model_, copy);
  place->inputs = std::move(copy);
  changed_ = true;
}

void TrafficRecorder::restore(const std::vector<WarmupSample>& samples) {
  const std::lock_guard lock(mutex_);
  for (const WarmupSample& sample : samples) {
    if (!fits(sample.inputs)) continue;
    SampleReservoir::Place* const place =
        reservoir_.offer(shape_of(signature_, sample.inputs), bytes_of(sample.inputs));
    if (place != nullptr) place->inputs = sample.inputs;
  }
}

void TrafficRecorder::time_came() noexcept {
  {
    const std::lock_guard lock(mutex_);
    armed_ = false;
  }
  write();
}

void TrafficRecorder::write() noexcept {
  const std::lock_guard writes(file_mutex_);
  try {
    std::string bytes;
    {
      const std::lock_guard lock(mutex_);
      if (!std::exchange(changed_, false)) return;
      for (const SampleReservoir::Place* place : reservoir_.samples()) {
        if (place->inputs.empty()) continue;
        bytes += format_warmup_record({.inputs = place->inputs}, model_);
      }
    }
    replace_file(options_.file, {bytes});
  } catch (const std::exception& error) {
    if (!std::exchange(told_, true))
      log().warn("{}: recorded samples are not kept: {}", model_, error.what());
  }
}

}  // namespace baozi::model
