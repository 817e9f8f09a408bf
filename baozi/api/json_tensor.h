// A "data" list, flat or nested, read into a tensor whose type and shape are known.
//
// Thread safety: free functions.
#pragma once

#include <string_view>

#include "baozi/api/json_reader.h"
#include "baozi/base/tensor.h"

namespace baozi::api {

// `list` must be flat, or nested as `shape` says, or nested for its first dimensions and flat for
// the rest. `text_size` is the size of the JSON text around it: more elements than that cannot
// come, so memory is taken for no more. Errors: kInvalidArgument with the element or the two counts
// that differ.
Tensor read_tensor(ondemand::array list, DType dtype, const Shape& shape,
                   std::string_view input_name, std::size_t text_size, Allocator& allocator);

}  // namespace baozi::api
