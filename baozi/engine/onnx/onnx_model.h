// A loaded ONNX model: its session or, in parts, its sessions, its signature and what its instances
// share. Internal to the engine.
//
// Thread safety: constant after construction, except for the flags, which are atomic.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "baozi/engine/engine.h"
#include "baozi/engine/onnx/onnx_chain.h"
#include "baozi/engine/onnx/onnx_plan.h"
#include "baozi/engine/read_ahead.h"

namespace baozi::engine {

// Where a free dimension of an output gets its size from: a dimension of an input that has the same
// name.
struct DimSource {
  int input = -1;  // -1: the size is fixed, or not known before the run
  int dim = 0;
};

// What the session itself does not tell.
struct OnnxModelFacts {
  std::uint64_t weight_bytes = 0;
  bool prepared = false;
  std::unique_ptr<ReadAhead> reading = nullptr;  // of its weights; ends with the model
};

// A model in parts, and how to get at them (OnnxChain).
struct OnnxParts {
  OnnxPlan plan;  // with the signature and metadata of the whole
  OnnxChain::OpenPart open_part;
  OnnxChain::OpenWhole open_whole;
};

class OnnxModel final : public Model, public std::enable_shared_from_this<OnnxModel> {
 public:
  OnnxModel(std::string file, Ort::Session session, OnnxModelFacts facts);
  // Opens the first part; its errors are passed on.
  OnnxModel(std::string file, OnnxParts parts, OnnxModelFacts facts, const StopToken& stop);

  const Signature& signature() const noexcept override { return signature_; }
  Capabilities capabilities() const noexcept override {
    return {.interruptible = true, .preallocated_outputs = true, .concurrent_instances = true};
  }
  std::size_t memory_bytes() const noexcept override { return memory_bytes_; }
  std::size_t instance_bytes() const noexcept override { return instance_bytes_; }
  const std::map<std::string, std::string>& metadata() const noexcept override { return metadata_; }
  std::unique_ptr<Instance> create_instance(Allocator& allocator) override;
  bool prepared() const noexcept override { return prepared_; }
  bool loaded() const noexcept override { return !chain_ || chain_->all_there(); }
  void await_loaded(StopToken stop) override {
    if (chain_) chain_->await_all(stop);
  }

  const std::string& file() const noexcept { return file_; }
  // OrtApi::Run, in the signature's order; an output that is null is made. `values` is the caller's
  // own. Errors, thrown: those of OnnxChain::run.
  OrtStatus* run(OrtRunOptions* options, std::span<const OrtValue* const> inputs,
                 std::span<OrtValue*> outputs, OnnxChain::Values& values, const StopToken& stop);

  // The shape that output `index` will have for these inputs, when its dimensions' names tell;
  // false otherwise.
  bool foretell_shape(std::size_t index, std::span<const Tensor> inputs,
                      Shape& shape) const noexcept;
  // The names were found to lie: from now on no shape is foretold.
  void distrust_dim_names() noexcept;

 private:
  OnnxModel(std::string file, Signature signature, std::map<std::string, std::string> metadata,
            OnnxModelFacts facts);

  // Constant after construction.
  std::string file_;
  Ort::Session session_{nullptr};  // null: it is in parts
  Signature signature_;
  std::map<std::string, std::string> metadata_;
  std::size_t instance_bytes_ = 0;  // of its tensors; the session and its arena are shared
  std::size_t memory_bytes_ = 0;
  bool prepared_ = false;
  std::vector<const char*> input_names_;
  std::vector<const char*> output_names_;
  std::vector<std::vector<DimSource>>
      sources_;  // of each output; empty: its shape cannot be foretold
  std::unique_ptr<ReadAhead> reading_;
  std::optional<OnnxChain> chain_;  // after the signature, which it refers to

  std::atomic<bool> dim_names_lie_{false};
};

// Throws Error kUnimplemented when an input or output is no tensor of a known element type.
std::shared_ptr<Model> make_onnx_model(std::string file, Ort::Session session,
                                       OnnxModelFacts facts);
std::shared_ptr<Model> make_onnx_model(std::string file, OnnxParts parts, OnnxModelFacts facts,
                                       const StopToken& stop);

ONNXTensorElementDataType onnx_type(DType dtype) noexcept;

}  // namespace baozi::engine
