// TensorFlow Serving's REST requests: bytes in, values out. Source:
// tensorflow.org/tfx/serving/api_rest. Element types come from the signature, since the JSON does
// not say them.
//
// Thread safety: free functions.
#pragma once

#include <cstddef>
#include <string_view>

#include "baozi/base/bytes.h"
#include "baozi/engine/signature.h"
#include "baozi/model/request.h"

namespace baozi::api {

struct TfPredict {
  model::InferRequest request;  // inputs only
  bool rows = false;            // "instances": answer row by row; else "inputs": by columns
  std::size_t row_count = 0;    // of "instances"
};

// The body of :predict. `spare`: readable bytes behind the body. Errors: kInvalidArgument.
TfPredict parse_tf_predict(const Bytes& body, std::size_t spare,
                           const engine::Signature& signature);

// The body of :classify and :regress: "examples", with what they share in "context". Errors:
// kInvalidArgument.
TfPredict parse_tf_examples(const Bytes& body, std::size_t spare,
                            const engine::Signature& signature);

}  // namespace baozi::api
