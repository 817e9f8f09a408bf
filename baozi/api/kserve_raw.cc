#include <fmt/format.h>

#include <cstring>

#include "baozi/api/json_reader.h"
#include "baozi/api/kserve_parse.h"
#include "baozi/base/error.h"

namespace baozi::api {
namespace {

// The signature's shape with its free dimensions set: the first to what is left, the others to 1.
Shape shape_for(const engine::TensorSpec& spec, std::int64_t elements) {
  std::int64_t known = 1;
  bool has_free = false;
  for (const std::int64_t dim : spec.shape) {
    if (dim < 0)
      has_free = true;
    else
      known *= dim;
  }
  Shape shape;
  bool first = true;
  for (const std::int64_t dim : spec.shape) {
    if (dim >= 0) {
      shape.push_back(dim);
    } else {
      shape.push_back(first && known > 0 ? elements / known : 1);
      first = false;
    }
  }
  if (known == 0 || elements % known != 0 || (!has_free && elements != known)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("the body has {} elements of {}, input '{}' has the shape {}", elements,
                            dtype_name(spec.dtype), spec.name, to_string(spec.shape)));
  }
  return shape;
}

}  // namespace

KserveInfer raw_kserve_infer(const Bytes& body, const engine::Signature& signature,
                             Allocator& allocator) {
  if (signature.inputs.size() != 1) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("a body without JSON is for models with one input, this one has {}; say in "
                    "JSON which is which",
                    signature.inputs.size()));
  }
  const engine::TensorSpec& spec = signature.inputs.front();
  KserveInfer call;
  call.wishes.binary_by_default = true;
  if (spec.dtype == DType::kBytes) {
    const std::string_view element = body.text();
    call.request.inputs.push_back({spec.name, Tensor::of_strings(shape_for(spec, 1), {element})});
    return call;
  }
  const std::size_t width = dtype_size(spec.dtype);
  if (body.size() % width != 0) {
    throw Error(Code::kInvalidArgument,
                fmt::format("the body has {} bytes, no multiple of the {} of {}", body.size(),
                            width, dtype_name(spec.dtype)));
  }
  const Shape shape = shape_for(spec, static_cast<std::int64_t>(body.size() / width));
  Bytes data = body;
  if (reinterpret_cast<std::uintptr_t>(body.data()) % width != 0) {
    data = allocator.allocate(body.size());
    std::memcpy(data.mutable_data(), body.data(), body.size());
    data = data.slice(0, body.size());
  }
  check_bools(spec.name, spec.dtype, data);
  call.request.inputs.push_back({spec.name, Tensor(spec.dtype, shape, std::move(data))});
  return call;
}

}  // namespace baozi::api
