// Warm-up samples as KServe v2 requests in JSON: one of them, a list, or one a line.
//
//   {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}]}
//
// A sample whose answer is known is a pair, with the answer as KServe gives it:
//
//   {"request": {"inputs": […]}, "response": {"outputs": […]}}
//
// Thread safety: free functions.
#pragma once

#include <string>
#include <vector>

#include "baozi/model/warmup_sample.h"

namespace baozi::api {

inline constexpr std::size_t kSamplesMax = 1000;  // of a file

// `file` is for messages: errors and the samples' `from` name it and the sample's number. Errors:
// kInvalidArgument with the file, the sample's number and what is wrong with it.
std::vector<model::WarmupSample> parse_kserve_samples(std::string text, const std::string& file);

}  // namespace baozi::api
