// TensorFlow's TensorProto to and from a Tensor.
//
// Format: tensorflow/core/framework/tensor.proto, types.proto. Values stand in tensor_content, or
// in the repeated field of their type; there, fewer values than elements mean that the last one is
// repeated (zeros when there is none).
//
// Thread safety: free functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "baozi/base/tensor.h"

namespace baozi::model {

// Errors: kInvalidArgument (damaged, sizes that do not fit each other, more than `bytes_max`),
// kUnimplemented (complex numbers, quantised types, resources …).
Tensor parse_tensor_proto(std::string_view message, std::size_t bytes_max);
// In tensor_content; strings in string_val.
std::string format_tensor_proto(const Tensor& tensor);

}  // namespace baozi::model
