// KServe v2 (Open Inference Protocol) inference requests: bytes in, values out. Source: the
// protocol's "Inference" and "Binary tensor data", "Classification", "Schedule policy" extensions
// as Triton documents them.
//
// Thread safety: free functions.
//
//   KserveInfer call = parse_kserve_infer(body, json_size, spare);
//   call.request.model = route.model;
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/bytes.h"
#include "baozi/base/clock.h"
#include "baozi/engine/signature.h"
#include "baozi/model/request.h"

namespace baozi::api {

// How one output is to be sent.
struct OutputWish {
  std::optional<bool> binary;  // unset: as the request's default says
  std::uint32_t classes = 0;   // above 0: the best so many, as "score:index:label"
};

struct OutputWishes {
  bool binary_by_default = false;
  std::vector<OutputWish>
      outputs;  // in the order of InferRequest::outputs; those beyond its end have no wish

  bool binary(std::size_t index) const noexcept {
    return index < outputs.size() ? outputs[index].binary.value_or(binary_by_default)
                                  : binary_by_default;
  }
  std::uint32_t classes(std::size_t index) const noexcept {
    return index < outputs.size() ? outputs[index].classes : 0;
  }
};

struct KserveInfer {
  model::InferRequest request;  // model and version are left to the caller: they stand in the path
  OutputWishes wishes;
  Duration timeout{};     // zero: none
  bool timeline = false;  // the response is to tell its stages
};

inline constexpr std::size_t kInputsMax = 1024;

// `json_size`: the header Inference-Header-Content-Length; without it the whole body is JSON.
// `spare`: readable bytes behind the body; from 64 on nothing is copied before it is parsed. Binary
// inputs share the body's memory where they are aligned for their type; other inputs get theirs
// from `allocator`. Errors: kInvalidArgument that names the field and what is wrong with it.
KserveInfer parse_kserve_infer(const Bytes& body, std::optional<std::size_t> json_size,
                               std::size_t spare, Allocator& allocator = heap_allocator());

// The tensors under "outputs" of a response whose tensors are all in JSON. Errors: as above;
// messages call them inputs.
Tensors parse_kserve_outputs(const Bytes& body);

// A request without JSON (Inference-Header-Content-Length: 0): the body is the only input's
// content. For BYTES it is one element; for other types the signature's free dimension follows from
// the size. Outputs are binary by default. Errors: kInvalidArgument when the model has several
// inputs or the size does not fit.
KserveInfer raw_kserve_infer(const Bytes& body, const engine::Signature& signature,
                             Allocator& allocator = heap_allocator());

}  // namespace baozi::api
