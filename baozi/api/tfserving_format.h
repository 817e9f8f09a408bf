// TensorFlow Serving's REST answers: values in, bytes out. Source:
// tensorflow.org/tfx/serving/api_rest, and what the server prints: floats always with a point or
// exponent, NaN and Infinity as those words, bytes that are no text as
// {"b64":"…"}. Errors have KServe's shape, format_error.
//
// Thread safety: free functions.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/model/servable.h"
#include "baozi/model/state.h"

namespace baozi::api {

// {"predictions":[…]}: a value for each row, or an object where there are several outputs.
// Errors: kFailedPrecondition when an output has not `row_count` rows: ask by columns then.
std::string format_tf_predictions(const model::InferResponse& response, std::size_t row_count);
// {"outputs":…}: the one output's value, or an object of all.
std::string format_tf_outputs(const model::InferResponse& response);
// {"results":[[["label",score],…],…]}: classes in the output's order; labels from an output of
// strings of the same shape, else from `labels`, else the index. Errors: kFailedPrecondition when
// no output has scores.
std::string format_tf_classify(const model::InferResponse& response, std::size_t row_count,
                               const std::vector<std::string>& labels);
// {"results":[value,…]}. Errors: kFailedPrecondition when no output has one float for each row.
std::string format_tf_regress(const model::InferResponse& response, std::size_t row_count);

std::string format_tf_status(std::span<const model::VersionStatus> versions);
std::string format_tf_metadata(const model::Servable& servable);

}  // namespace baozi::api
