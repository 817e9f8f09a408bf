// Which of a cascade's models gave an answer, as a response header: so it is said in every
// protocol.
//
// Thread safety: free functions.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "baozi/model/cascade.h"
#include "baozi/model/request.h"
#include "baozi/net/http.h"

namespace baozi::api {

inline constexpr std::string_view kAnsweredByHeader = "x-baozi-answered-by";

// Nothing for answers that are no cascade's.
inline void add_answered_by(const model::InferResponse& response, net::HttpResponse& answer) {
  if (response.parameters.empty()) return;
  const auto at = response.parameters.find(std::string(model::kAnsweredBy));
  if (at == response.parameters.end()) return;
  if (const auto* name = std::get_if<std::string>(&at->second))
    answer.headers.push_back({kAnsweredByHeader, *name});
}

}  // namespace baozi::api
