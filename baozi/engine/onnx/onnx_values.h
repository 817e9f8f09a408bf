// Between baozi's tensors and ONNX Runtime's values: views without copies where the memory allows,
// conversions for strings. Internal to the engine.
//
// Thread safety: free functions over their arguments; an OutputKeeper may be used from any thread.
// Errors: those of Ort::Exception are left to the caller.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <memory>
#include <mutex>
#include <vector>

#include "baozi/base/tensor.h"

namespace baozi::engine {

// A value over the tensor's own memory; the tensor must outlive its use. Not for strings.
Ort::Value view_of(const OrtMemoryInfo* memory, const Tensor& tensor);

// A copy of a BYTES tensor as ONNX Runtime's strings, zero bytes included.
Ort::Value strings_to_value(const Tensor& tensor);
// The strings of a value as a BYTES tensor, in memory of `allocator`.
Tensor strings_from_value(const Ort::Value& value, Allocator& allocator);

// Hands out the memory of ONNX Runtime's own outputs as tensors without copying: the tensor keeps
// the value, and `model`, alive. The nodes that do so are used again, so that steady state
// allocates none.
class OutputKeeper : public std::enable_shared_from_this<OutputKeeper> {
 public:
  explicit OutputKeeper(std::shared_ptr<const void> model) : model_(std::move(model)) {}
  ~OutputKeeper();
  OutputKeeper(const OutputKeeper&) = delete;
  OutputKeeper& operator=(const OutputKeeper&) = delete;

  // Takes over `value`, a tensor of `dtype` in the CPU's memory that is no string.
  Tensor keep(DType dtype, Ort::Value value);

 private:
  class Node;

  std::shared_ptr<const void> model_;
  std::mutex mutex_;
  std::vector<Node*> idle_;  // guarded by mutex_; has room for all nodes there are
  std::size_t nodes_ = 0;    // guarded by mutex_
};

}  // namespace baozi::engine
