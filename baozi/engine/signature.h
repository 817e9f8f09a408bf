// Signature: what a model takes and gives. Values; thread-safe to read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/tensor.h"

namespace baozi::engine {

struct TensorSpec {
  std::string name;
  DType dtype = DType::kFp32;
  Shape shape;  // -1 stands for any size
  std::vector<std::string> dim_names =
      {};  // as in the model ("batch", "sequence"), "" where it has none; may be empty
};

struct Signature {
  std::vector<TensorSpec> inputs = {};
  std::vector<TensorSpec> outputs = {};

  // Index by name, or -1.
  int input_index(std::string_view name) const noexcept;
  int output_index(std::string_view name) const noexcept;
  // Whether dimension 0 of every input and output is free, so that requests can be batched along
  // it.
  bool batchable() const noexcept;
};

// Whether dtype and shape are what the spec allows.
bool fits(const TensorSpec& spec, const Tensor& tensor) noexcept;
// Throws Error kInvalidArgument that names the tensor, what it is and what was expected, unless
// dtype and shape fit.
void check_fits(const TensorSpec& spec, const Tensor& tensor);

}  // namespace baozi::engine
