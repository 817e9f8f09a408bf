// TensorFlow Serving's requests: the first byte says which, the rest is the body. What parses is
// formatted.
#include <cstddef>
#include <cstdint>
#include <span>

#include "baozi/api/tfserving_format.h"
#include "baozi/api/tfserving_parse.h"
#include "baozi/base/error.h"

namespace {

using namespace baozi;

engine::Signature signature_of(bool two) {
  engine::Signature signature;
  engine::TensorSpec number;
  number.name = "x";
  number.dtype = DType::kFp32;
  number.shape = {-1, -1};
  engine::TensorSpec text;
  text.name = "s";
  text.dtype = DType::kBytes;
  text.shape = {-1};
  signature.inputs.push_back(number);
  if (two) signature.inputs.push_back(text);
  return signature;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const Bytes body = Bytes::copy_of(std::as_bytes(std::span(data + 1, size - 1)));
  const engine::Signature signature = signature_of((data[0] & 1) != 0);
  try {
    const auto parse = (data[0] & 2) != 0 ? api::parse_tf_examples : api::parse_tf_predict;
    const api::TfPredict call = parse(body, 0, signature);
    model::InferResponse response;
    response.outputs = call.request.inputs;
    api::format_tf_outputs(response);
    if (call.rows) {
      api::format_tf_predictions(response, call.row_count);
      api::format_tf_classify(response, call.row_count, {});
    }
  } catch (const Error&) {
  }
  return 0;
}
