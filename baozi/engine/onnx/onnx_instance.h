// OnnxInstance: one caller of a model's session. Internal to the engine.
//
// Inputs are read from, and outputs written to, the tensors' own memory. An output is written in
// place when the caller gave fitting memory, or when its shape follows from the inputs' (then the
// memory is from the allocator); else ONNX Runtime allocates it and that memory is handed on.
// Values over memory that stays the same from run to run are kept. Of ours, a run in steady state
// allocates nothing on the tensor path; ONNX Runtime itself allocates 13 or 14 small blocks a run,
// and 3 more for each value made over new memory (measured with 1.32, one input and one output).
//
// Session::Run with bound values was chosen over IoBinding: as quick when the memory stays the same
// (1.40 and 1.37 µs of CPU for a no-op model), and quicker when it changes (1.68 against 1.78 µs),
// because names are not looked up again.
//
// Thread safety: one thread at a time, as every Instance.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <memory>
#include <vector>

#include "baozi/engine/onnx/onnx_model.h"
#include "baozi/engine/onnx/onnx_values.h"

namespace baozi::engine {

class OnnxInstance final : public Instance {
 public:
  OnnxInstance(std::shared_ptr<OnnxModel> model, Allocator& allocator);

  void run(std::span<const Tensor> inputs, std::span<Tensor> outputs, StopToken stop) override;

 private:
  // A value over some tensor's memory, and which memory that is.
  struct Slot {
    Ort::Value value{nullptr};
    const std::byte* data = nullptr;
    Shape shape;
  };

  void check_inputs(std::span<const Tensor> inputs, std::span<Tensor> outputs) const;
  void bind_input(std::size_t index, const Tensor& tensor);
  // Lets the output be written in place, into `output`'s memory or fresh one; false when its shape
  // is not known.
  bool bind_output(std::size_t index, std::span<const Tensor> inputs, Tensor& output);
  void bind(Slot& slot, const Tensor& tensor);
  OrtStatus* call(const StopToken& stop);
  void run_unbound(std::span<Tensor> outputs, const StopToken& stop, bool foretold);
  void take_outputs(std::span<Tensor> outputs);
  bool in_place(std::size_t index) const noexcept;
  void drop_outputs() noexcept;
  [[noreturn]] void fail(OrtStatus* status, const StopToken& stop) const;

  const std::shared_ptr<OnnxModel> model_;
  Allocator& allocator_;
  const std::shared_ptr<OutputKeeper> keeper_;
  const Ort::MemoryInfo memory_;
  Ort::RunOptions options_;
  std::vector<Slot> inputs_;
  std::vector<Slot> outputs_;
  std::vector<const OrtValue*> input_values_;
  std::vector<OrtValue*> output_values_;  // null: ONNX Runtime puts its own there
  OnnxChain::Values values_;              // of a model in parts
  bool foretold_ = false;                 // whether this run bound an output by its foretold shape
};

}  // namespace baozi::engine
