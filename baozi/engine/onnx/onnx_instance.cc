#include "baozi/engine/onnx/onnx_instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/engine/onnx/onnx_runtime.h"

namespace baozi::engine {
namespace {

bool aligned(const Tensor& tensor) noexcept {
  const std::size_t size = dtype_size(tensor.dtype());
  return size == 0 || reinterpret_cast<std::uintptr_t>(tensor.data().data()) % size == 0;
}

// What ONNX Runtime says when an output does not have the shape of the memory that was bound for
// it.
bool is_shape_mismatch(const OrtStatus* status) noexcept {
  const std::string_view message = Ort::GetApi().GetErrorMessage(status);
  for (const std::string_view part :
       {"computed output shape", "shape verification failed"}) {  // 1.32, and older ones
    if (message.find(part) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

OnnxInstance::OnnxInstance(std::shared_ptr<OnnxModel> model, Allocator& allocator)
    : model_(std::move(model)),
      allocator_(allocator),
      keeper_(std::make_shared<OutputKeeper>(model_)),
      memory_(Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault)),
      inputs_(model_->signature().inputs.size()),
      outputs_(model_->signature().outputs.size()),
      input_values_(inputs_.size()),
      output_values_(outputs_.size()) {}

void OnnxInstance::run(std::span<const Tensor> inputs, std::span<Tensor> outputs, StopToken stop) {
  throw_if_stopped(stop);
  check_inputs(inputs, outputs);
  try {
    for (std::size_t i = 0; i < inputs.size(); ++i) bind_input(i, inputs[i]);
    foretold_ = false;
    bool bound = false;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const bool ready = bind_output(i, inputs, outputs[i]);
      output_values_[i] = ready ? static_cast<OrtValue*>(outputs_[i].value) : nullptr;
      bound |= ready;
    }
    OrtStatus* status = call(stop);
    if (status == nullptr) {
      take_outputs(outputs);
    } else if (bound && is_shape_mismatch(status)) {
      Ort::GetApi().ReleaseStatus(status);
      run_unbound(outputs, stop, foretold_);
    } else {
      fail(status, stop);
    }
  } catch (const Ort::Exception& error) {
    throw run_error(model_->file(), error.GetOrtErrorCode(), error.what());
  }
}

void OnnxInstance::check_inputs(std::span<const Tensor> inputs, std::span<Tensor> outputs) const {
  const Signature& signature = model_->signature();
  if (inputs.size() != inputs_.size() || outputs.size() != outputs_.size()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{}: the model has {} inputs and {} outputs, but {} and {} were given",
                            model_->file(), inputs_.size(), outputs_.size(), inputs.size(),
                            outputs.size()));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const TensorSpec& spec = signature.inputs[i];
    // A model that leaves the rank open looks as if it wanted a scalar; ONNX Runtime knows the
    // difference.
    if (spec.shape.rank() == 0 && spec.dtype == inputs[i].dtype()) continue;
    check_fits(spec, inputs[i]);
  }
}

void OnnxInstance::bind(Slot& slot, const Tensor& tensor) {
  if (slot.value && slot.data == tensor.data().data() && slot.shape == tensor.shape()) return;
  slot.value = view_of(memory_, tensor);
  slot.data = tensor.data().data();
  slot.shape = tensor.shape();
}

void OnnxInstance::bind_input(std::size_t index, const Tensor& tensor) {
  Slot& slot = inputs_[index];
  if (tensor.dtype() == DType::kBytes) {
    slot.value = strings_to_value(tensor);
  } else if (aligned(tensor)) {
    bind(slot, tensor);
  } else {
    // A part of a larger message that does not start where the elements need it: the one case that
    // is copied.
    slot.value = Ort::Value(nullptr);
    Ort::AllocatorWithDefaultOptions allocator;
    const std::span<const std::int64_t> dims = tensor.shape().dims();
    slot.value =
        Ort::Value::CreateTensor(allocator, dims.data(), dims.size(), onnx_type(tensor.dtype()));
    std::memcpy(slot.value.GetTensorMutableRawData(), tensor.data().data(), tensor.data().size());
    slot.data = nullptr;
  }
  input_values_[index] = slot.value;
}

bool OnnxInstance::bind_output(std::size_t index, std::span<const Tensor> inputs, Tensor& output) {
  const TensorSpec& spec = model_->signature().outputs[index];
  if (spec.dtype == DType::kBytes) return false;
  Shape shape;
  const bool known = model_->foretell_shape(index, inputs, shape);
  const bool given = output.data().data() != nullptr && aligned(output) && fits(spec, output);
  if (!given || (known && shape != output.shape())) {
    if (!known) return false;
    output = Tensor::allocate(spec.dtype, shape, allocator_);
    foretold_ = true;
  }
  bind(outputs_[index], output);
  return true;
}

OrtStatus* OnnxInstance::call(const StopToken& stop) {
  const OrtApi& api = Ort::GetApi();
  OrtRunOptions* options = options_;
  const auto terminate = [&api, options]() noexcept {
    // Sets a flag that is looked at between nodes; it cannot fail for options that exist.
    OrtStatus* const status = api.RunOptionsSetTerminate(options);
    assert(status == nullptr);
    static_cast<void>(status);
  };
  std::optional<StopCallback<decltype(terminate)>> on_stop;
  if (stop.stop_possible()) on_stop.emplace(stop, terminate);
  OrtStatus* status = nullptr;
  try {
    status = model_->run(options, input_values_, output_values_, values_, stop);
  } catch (...) {  // while it waited for a part
    on_stop.reset();
    options_.UnsetTerminate();
    throw;
  }
  on_stop.reset();
  if (stop.stop_requested()) options_.UnsetTerminate();
  return status;
}

// Again, with memory of ONNX Runtime's own: an output has another shape than was given or foretold.
void OnnxInstance::run_unbound(std::span<Tensor> outputs, const StopToken& stop, bool foretold) {
  std::ranges::fill(output_values_, nullptr);
  if (OrtStatus* status = call(stop)) fail(status, stop);
  if (foretold) model_->distrust_dim_names();
  take_outputs(outputs);
}

void OnnxInstance::take_outputs(std::span<Tensor> outputs) {
  struct Rest {  // frees what was not taken when an allocation fails half-way
    OnnxInstance& self;
    ~Rest() { self.drop_outputs(); }
  } const rest{*this};
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (in_place(i)) continue;
    Ort::Value value(std::exchange(output_values_[i], nullptr));
    const DType dtype = model_->signature().outputs[i].dtype;
    outputs[i] = dtype == DType::kBytes ? strings_from_value(value, allocator_)
                                        : keeper_->keep(dtype, std::move(value));
  }
}

bool OnnxInstance::in_place(std::size_t index) const noexcept {
  return output_values_[index] == static_cast<const OrtValue*>(outputs_[index].value);
}

void OnnxInstance::drop_outputs() noexcept {
  for (std::size_t i = 0; i < output_values_.size(); ++i) {
    if (!in_place(i) && output_values_[i] != nullptr) Ort::GetApi().ReleaseValue(output_values_[i]);
    output_values_[i] = nullptr;
  }
}

void OnnxInstance::fail(OrtStatus* status, const StopToken& stop) const {
  const Ort::Status owned(status);
  throw_if_stopped(stop);
  throw run_error(model_->file(), owned.GetErrorCode(), owned.GetErrorMessage());
}

}  // namespace baozi::engine
