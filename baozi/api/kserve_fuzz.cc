// KServe inference requests. The first byte says how: 0 the rest is JSON, 1 the next two bytes are
// the JSON's size, other a body without JSON. What parses is formatted, in JSON where that can
// carry it and in binary.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "baozi/api/kserve_format.h"
#include "baozi/api/kserve_parse.h"
#include "baozi/base/error.h"

namespace {

using namespace baozi;

void answer(const api::KserveInfer& call) {
  model::InferResponse response;
  response.id = call.request.id;
  response.outputs = call.request.inputs;
  response.parameters = call.request.parameters;
  for (const bool binary : {true, false}) {
    api::OutputWishes wishes = call.wishes;
    wishes.binary_by_default = binary;
    try {
      api::format_kserve_infer(response, wishes, {});
    } catch (const Error&) {
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  const std::uint8_t mode = data[0];
  std::optional<std::size_t> json_size;
  std::size_t head = 1;
  if (mode == 1) {
    json_size = static_cast<std::size_t>(data[1]) | static_cast<std::size_t>(data[2]) << 8;
    head = 3;
  }
  const Bytes body = Bytes::copy_of(std::as_bytes(std::span(data + head, size - head)));
  try {
    if (mode <= 1) {
      answer(api::parse_kserve_infer(body, json_size, 0));
    } else {
      engine::Signature signature;
      engine::TensorSpec spec;
      spec.name = "x";
      spec.dtype = static_cast<DType>(mode % 14);
      spec.shape = {-1, 2};
      signature.inputs.push_back(spec);
      answer(api::raw_kserve_infer(body, signature));
    }
  } catch (const Error&) {
  }
  return 0;
}
