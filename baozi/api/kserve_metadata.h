// KServe v2 documents that describe rather than infer: server and model metadata, readiness,
// repository index and statistics, in the shapes of the protocol and of Triton's extensions.
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

std::string format_server_metadata(std::string_view server_version);
// {"live":true} or {"ready":false}: `what` is the key.
std::string format_flag(std::string_view what, bool value);
std::string format_model_ready(std::string_view name, bool ready);
// `versions`: all there are of the model.
std::string format_model_metadata(const model::Servable& servable,
                                  std::span<const model::VersionStatus> versions);
// What perf_analyzer reads before it sends load: Triton's model configuration, as far as a
// signature tells it.
std::string format_model_config(const model::Servable& servable);

struct ModelStatistics {
  std::string name;
  std::string version;
  model::Statistics statistics;
};
std::string format_statistics(std::span<const ModelStatistics> models);

// `ready_only`: the request's {"ready":true}.
std::string format_repository_index(std::span<const model::VersionStatus> index, bool ready_only);
// The body of POST /v2/repository/index, which may be empty. Errors: kInvalidArgument.
bool parse_index_ready_only(std::string_view body);

}  // namespace baozi::api
