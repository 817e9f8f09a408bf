// Routes: method and path to what is meant.
//
// Thread safety: free functions.
//
//   std::string decoded;
//   Route route = find_route(request.method, request.path(), decoded);
//   if (route.verb == Verb::kKserveInfer) …
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "baozi/net/http.h"

namespace baozi::api {

enum class Verb : std::uint8_t {
  kNotFound,
  kMethodNotAllowed,
  kHello,
  kHealth,
  kStages,
  kWarmth,
  kColdStart,
  kMetrics,
  kTrace,
  kServerMetadata,
  kLive,
  kReady,
  kSteer,
  kModelMetadata,
  kModelReady,
  kModelConfig,
  kModelStatistics,
  kKserveInfer,
  kAllStatistics,
  kRepositoryIndex,
  kRepositoryLoad,
  kRepositoryUnload,
  kTfStatus,
  kTfMetadata,
  kTfPredict,
  kTfClassify,
  kTfRegress,
  kModels,
  kChatCompletions,
  kCompletions,
  kResponses,
  kEmbeddings,
  kTokenize,
  kDetokenize,
};

struct Route {
  Verb verb = Verb::kNotFound;
  std::string_view model;    // percent-decoded, as the others
  std::string_view version;  // empty: not given
  std::string_view label;    // TensorFlow Serving's; empty: not given
  std::string_view allow;    // for kMethodNotAllowed: the Allow header's value
};

// Allocates only for paths with percent signs; then the views point into `decoded`, else into
// `path`. Errors: kInvalidArgument for a percent sign without two hexadecimal digits.
Route find_route(net::HttpMethod method, std::string_view path, std::string& decoded);

// "GET /v2/health/live, …": what there is, for the answer to a path that is not.
std::string_view route_list() noexcept;

}  // namespace baozi::api
