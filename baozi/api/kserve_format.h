// KServe v2 inference responses and errors: values in, bytes out.
//
// Thread safety: free functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "baozi/api/kserve_parse.h"
#include "baozi/base/bytes.h"
#include "baozi/base/error.h"
#include "baozi/model/request.h"

namespace baozi::api {

// The JSON, then the outputs that were wanted in binary, in the JSON's order. They share the
// tensors' memory.
struct KserveReply {
  std::string json;
  std::vector<Bytes> tensors;  // not empty: Inference-Header-Content-Length is json.size()
};

// What of a servable the classification extension needs.
struct ClassNames {
  const std::vector<std::string>* labels = nullptr;
  bool batched = false;  // dimension 0 of the outputs is the batch
};

// Errors: kFailedPrecondition when an output cannot be said in JSON (text that is not UTF-8, NaN,
// infinity) and must be asked for in binary; kInvalidArgument when classification was asked of an
// output without numbers.
KserveReply format_kserve_infer(const model::InferResponse& response, const OutputWishes& wishes,
                                const ClassNames& classes);

// {"error":"…"}: also TensorFlow Serving's shape.
std::string format_error(std::string_view message);

}  // namespace baozi::api
