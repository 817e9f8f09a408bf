#include "baozi/api/routes.h"

#include <array>
#include <span>

#include "baozi/base/error.h"

namespace baozi::api {
namespace {

constexpr std::size_t kSegmentsMax = 8;  // one more than any route has

struct Segments {
  std::array<std::string_view, kSegmentsMax> at;
  std::size_t count = 0;
};

// The parts between slashes, without an empty last one; more than kSegmentsMax are as good as that
// many: no route.
Segments split(std::string_view path) {
  Segments parts;
  if (path.starts_with('/')) path.remove_prefix(1);
  while (!path.empty() && parts.count < kSegmentsMax) {
    const std::size_t slash = path.find('/');
    parts.at[parts.count++] = path.substr(0, slash);
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return parts;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Precondition: `out` has room, so that earlier views into it stay good.
std::string_view decode(std::string_view segment, std::string& out) {
  if (segment.find('%') == std::string_view::npos) return segment;
  const std::size_t start = out.size();
  for (std::size_t i = 0; i < segment.size(); ++i) {
    if (segment[i] != '%') {
      out += segment[i];
      continue;
    }
    const int high = i + 2 < segment.size() ? hex_digit(segment[i + 1]) : -1;
    const int low = i + 2 < segment.size() ? hex_digit(segment[i + 2]) : -1;
    if (high < 0 || low < 0) {
      throw Error(Code::kInvalidArgument,
                  "the path has a '%' without two hexadecimal digits behind it; write it as %25");
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return std::string_view(out).substr(start);
}

using Rest = std::span<const std::string_view>;

// What follows /v2/models/M or /v2/models/M/versions/V.
Verb kserve_verb(Rest rest) {
  if (rest.empty()) return Verb::kModelMetadata;
  if (rest.size() > 1) return Verb::kNotFound;
  if (rest[0] == "infer") return Verb::kKserveInfer;
  if (rest[0] == "ready") return Verb::kModelReady;
  if (rest[0] == "stats") return Verb::kModelStatistics;
  if (rest[0] == "config") return Verb::kModelConfig;
  return Verb::kNotFound;
}

Route kserve_model(Rest rest, std::string& decoded) {
  Route route;
  if (rest.empty() || rest[0].empty()) return route;
  if (rest.size() == 1 && rest[0] == "stats") return {Verb::kAllStatistics, {}, {}, {}, {}};
  route.model = decode(rest[0], decoded);
  rest = rest.subspan(1);
  if (rest.size() >= 2 && rest[0] == "versions") {
    route.version = decode(rest[1], decoded);
    if (route.version.empty()) return route;
    rest = rest.subspan(2);
  }
  route.verb = kserve_verb(rest);
  return route;
}

Route repository(Rest rest, std::string& decoded) {
  Route route;
  if (rest.size() == 1 && rest[0] == "index") route.verb = Verb::kRepositoryIndex;
  if (rest.size() != 3 || rest[0] != "models") return route;
  route.model = decode(rest[1], decoded);
  if (rest[2] == "load") route.verb = Verb::kRepositoryLoad;
  if (rest[2] == "unload") route.verb = Verb::kRepositoryUnload;
  return route;
}

Route kserve(Rest rest, std::string& decoded) {
  Route route;
  if (rest.empty()) {
    route.verb = Verb::kServerMetadata;
  } else if (rest[0] == "models") {
    route = kserve_model(rest.subspan(1), decoded);
  } else if (rest[0] == "repository") {
    route = repository(rest.subspan(1), decoded);
  } else if (rest.size() == 2 && rest[0] == "health") {
    if (rest[1] == "live") route.verb = Verb::kLive;
    if (rest[1] == "ready") route.verb = Verb::kReady;
    if (rest[1] == "steer") route.verb = Verb::kSteer;
  } else if (rest.size() == 1 && rest[0] == "trace") {
    route.verb = Verb::kTrace;
  } else if (rest.size() == 1 && rest[0] == "coldstart") {
    route.verb = Verb::kColdStart;
  } else if (rest.size() == 1 && rest[0] == "warmth") {
    route.verb = Verb::kWarmth;
  }
  return route;
}

// Cuts ":predict" and the like off; kTfStatus where there is none.
Verb cut_tf_verb(std::string_view& segment) {
  const std::size_t colon = segment.rfind(':');
  if (colon == std::string_view::npos) return Verb::kTfStatus;
  const std::string_view name = segment.substr(colon + 1);
  segment = segment.substr(0, colon);
  if (name == "predict") return Verb::kTfPredict;
  if (name == "classify") return Verb::kTfClassify;
  if (name == "regress") return Verb::kTfRegress;
  return Verb::kNotFound;
}

// OpenAI's: what follows /v1, but for /v1/models/M, which TensorFlow Serving has too.
Verb openai_verb(Rest rest) {
  if (rest.size() == 1) {
    if (rest[0] == "models") return Verb::kModels;
    if (rest[0] == "completions") return Verb::kCompletions;
    if (rest[0] == "responses") return Verb::kResponses;
    if (rest[0] == "embeddings") return Verb::kEmbeddings;
  }
  if (rest.size() == 2 && rest[0] == "chat" && rest[1] == "completions")
    return Verb::kChatCompletions;
  return Verb::kNotFound;
}

// /v1/models/M[/versions/V|/labels/L][/metadata|:verb]
Route tfserving(Segments& parts, std::string& decoded) {
  Route route;
  if (parts.count < 3 || parts.at[1] != "models") return route;
  Verb verb = Verb::kTfMetadata;
  if (parts.at[parts.count - 1] == "metadata" && (parts.count == 4 || parts.count == 6)) {
    --parts.count;
  } else {
    verb = cut_tf_verb(parts.at[parts.count - 1]);
  }
  if (parts.at[2].empty()) return route;
  if (parts.count == 5) {
    const std::string_view kind = parts.at[3];
    if (parts.at[4].empty() || (kind != "versions" && kind != "labels")) return route;
    (kind == "versions" ? route.version : route.label) = decode(parts.at[4], decoded);
  } else if (parts.count != 3) {
    return route;
  }
  route.model = decode(parts.at[2], decoded);
  route.verb = verb;
  return route;
}

bool wants_post(Verb verb) {
  switch (verb) {
    case Verb::kKserveInfer:
    case Verb::kRepositoryIndex:
    case Verb::kRepositoryLoad:
    case Verb::kRepositoryUnload:
    case Verb::kTfPredict:
    case Verb::kTfClassify:
    case Verb::kTfRegress:
    case Verb::kChatCompletions:
    case Verb::kCompletions:
    case Verb::kResponses:
    case Verb::kEmbeddings:
    case Verb::kTokenize:
    case Verb::kDetokenize:
      return true;
    default:
      return false;
  }
}

Route find_path(std::string_view path, std::string& decoded) {
  Segments parts = split(path);
  if (parts.count == 0) return {Verb::kHello, {}, {}, {}, {}};
  const Rest all(parts.at.data(), parts.count);
  if (all[0] == "v2") return kserve(all.subspan(1), decoded);
  if (all[0] == "v1") {
    const Verb verb = openai_verb(all.subspan(1));
    if (verb != Verb::kNotFound) return {verb, {}, {}, {}, {}};
    return tfserving(parts, decoded);
  }
  if (all.size() == 1 && all[0] == "health") return {Verb::kHealth, {}, {}, {}, {}};
  if (all.size() == 2 && all[0] == "readiness" && all[1] == "stages")
    return {Verb::kStages, {}, {}, {}, {}};
  if (all.size() == 1 && all[0] == "metrics") return {Verb::kMetrics, {}, {}, {}, {}};
  if (all.size() == 1 && all[0] == "tokenize") return {Verb::kTokenize, {}, {}, {}, {}};
  if (all.size() == 1 && all[0] == "detokenize") return {Verb::kDetokenize, {}, {}, {}, {}};
  return {};
}

}  // namespace

Route find_route(net::HttpMethod method, std::string_view path, std::string& decoded) {
  if (path.find('%') != std::string_view::npos) decoded.reserve(decoded.size() + path.size());
  Route route = find_path(path, decoded);
  if (route.verb == Verb::kNotFound) return route;
  const bool get = method == net::HttpMethod::kGet || method == net::HttpMethod::kHead;
  const bool post = method == net::HttpMethod::kPost;
  if (wants_post(route.verb) ? post : get) return route;
  route.allow = wants_post(route.verb) ? "POST" : "GET, HEAD";
  route.verb = Verb::kMethodNotAllowed;
  return route;
}

std::string_view route_list() noexcept {
  return "GET /health, GET /readiness/stages, GET /metrics, GET /v2, GET /v2/health/live, GET "
         "/v2/health/ready, GET /v2/health/steer, "
         "GET /v2/models/MODEL[/versions/VERSION][/ready|/config|/stats], "
         "POST /v2/models/MODEL[/versions/VERSION]/infer, GET /v2/models/stats, "
         "POST /v2/repository/index, POST /v2/repository/models/MODEL/load|unload, "
         "GET /v2/trace?seconds=N, GET /v2/coldstart, GET /v2/warmth, "
         "GET /v1/models/MODEL[/versions/VERSION|/labels/LABEL][/metadata], "
         "POST /v1/models/MODEL[/versions/VERSION|/labels/LABEL]:predict|:classify|:regress, "
         "GET /v1/models, "
         "POST /v1/chat/completions, POST /v1/completions, POST /v1/responses, "
         "POST /v1/embeddings, POST /tokenize, POST /detokenize";
}

}  // namespace baozi::api
