// The best classes of an output: KServe's classification extension and TensorFlow Serving's
// :classify.
//
// Thread safety: free functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/tensor.h"

namespace baozi::api {

struct ClassScore {
  std::int64_t index = 0;
  double score = 0;
};

// For each row the `count` highest scores, best first, equal ones by index. A batched output has a
// row for each element of dimension 0; otherwise the whole tensor is one row. Errors:
// kInvalidArgument for BYTES and BOOL outputs.
std::vector<std::vector<ClassScore>> best_classes(const Tensor& scores, bool batched,
                                                  std::size_t count);

// The output as a BYTES tensor of "score:index" or "score:index:label", of shape [count] or
// [rows,count], as Triton has it.
Tensor classification_tensor(const Tensor& scores, bool batched, std::size_t count,
                             const std::vector<std::string>& labels);

}  // namespace baozi::api
