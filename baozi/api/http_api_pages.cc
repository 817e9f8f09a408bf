// The pages of HttpApi that infer nothing: health, metadata, statistics, traces, loading by
// request.
#include <fmt/format.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "baozi/api/http_answers.h"
#include "baozi/api/http_api.h"
#include "baozi/api/json_writer.h"
#include "baozi/api/kserve_format.h"
#include "baozi/api/kserve_metadata.h"
#include "baozi/api/readiness.h"
#include "baozi/api/tfserving_format.h"
#include "baozi/base/cold_start.h"
#include "baozi/base/metrics.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/this_task.h"
#include "baozi/fleet/load_report.h"
#include "baozi/fleet/steering.h"

namespace baozi::api {
namespace {

constexpr double kTraceSecondsMax = 60;

net::HttpResponse text_response(std::string_view content_type, std::string body) {
  net::HttpResponse response = json_response(std::move(body));
  response.content_type = content_type;
  return response;
}

net::HttpResponse hello(std::string_view version) {
  return text_response(
      "text/plain; charset=utf-8",
      fmt::format(
          "baozi {}: an inference server for KServe v2, TensorFlow Serving and OpenAI clients.\n\n"
          "What there is:\n  {}\n",
          version, [] {
            std::string lines(route_list());
            for (std::size_t at = lines.find(", "); at != std::string::npos;
                 at = lines.find(", ", at)) {
              lines.replace(at, 2, "\n  ");
            }
            return lines;
          }()));
}

double trace_seconds(std::string_view query) {
  constexpr std::string_view kKey = "seconds=";
  const std::size_t at = query.find(kKey);
  if (at == std::string_view::npos) return 1;
  std::string_view text = query.substr(at + kKey.size());
  text = text.substr(0, text.find('&'));
  double seconds = 0;
  const std::from_chars_result read =
      std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || !(seconds > 0) ||
      seconds > kTraceSecondsMax) {
    throw Error(Code::kInvalidArgument,
                fmt::format("'seconds' must be a number above 0 and up to {}", kTraceSecondsMax));
  }
  return seconds;
}

}  // namespace

Task<net::HttpResponse> HttpApi::answer_other(
    net::HttpRequest request, Route route, [[maybe_unused]] std::unique_ptr<std::string> decoded) {
  try {
    switch (route.verb) {
      case Verb::kTrace: {
        net::HttpResponse response = co_await record_trace(std::move(request));
        co_return response;
      }
      case Verb::kRepositoryLoad:
      case Verb::kRepositoryUnload: {
        net::HttpResponse response = co_await control(route);
        co_return response;
      }
      case Verb::kWarmth:
        co_return json_response(fleet::format_warmth(warmth()));
      default:
        co_return describe(request, route);
    }
  } catch (const Error& error) {
    co_return error_answer(error);
  }
}

Task<net::HttpResponse> HttpApi::record_trace(net::HttpRequest request) {
  const double seconds = trace_seconds(request.query());
  if (recording_.exchange(true)) {
    throw Error(Code::kResourceExhausted,
                "a trace is being recorded already; ask again when it is done");
  }
  const struct Done {
    std::atomic<bool>& flag;
    ~Done() { flag.store(false); }
  } done{recording_};
  const trace::Recording recording;
  co_await sleep_for(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds)));
  if (options_.cpu != nullptr) co_await switch_to(*options_.cpu);
  co_return json_response(trace::to_chrome_json(recording.events()));
}

Task<net::HttpResponse> HttpApi::control(Route route) {
  if (options_.control == nullptr) {
    throw Error(Code::kUnimplemented, "this server loads its models at start only");
  }
  std::string name(route.model);
  if (route.verb == Verb::kRepositoryLoad) {
    co_await options_.control->load(std::move(name));
  } else {
    co_await options_.control->unload(std::move(name));
  }
  co_return json_response("{}");
}

net::HttpResponse HttpApi::describe(const net::HttpRequest& request, const Route& route) const {
  const bool serving = !warmth_.draining();
  switch (route.verb) {
    case Verb::kHello:
      return hello(options_.server_version);
    case Verb::kHealth:
      return health();
    case Verb::kStages: {
      const bool ready = serving && repository_.ready();
      return json_response(format_stages(ready, repository_.index()), ready ? 200 : 503);
    }
    case Verb::kColdStart:
      return json_response(format_cold_start(cold_start::record()));
    case Verb::kMetrics:
      return metrics_page();
    case Verb::kServerMetadata:
      return json_response(format_server_metadata(options_.server_version));
    case Verb::kLive:
      return json_response(format_flag("live", true));
    case Verb::kSteer:
      return steer();
    case Verb::kReady: {
      const bool ready = serving && repository_.ready();
      return json_response(format_flag("ready", ready), ready ? 200 : 503);
    }
    case Verb::kModelReady: {
      bool ready = false;
      bool known = false;
      for (const model::VersionStatus& status : repository_.versions(route.model)) {
        if (!route.version.empty() && route.version != status.version) continue;
        known = true;
        ready = ready || status.state == model::State::kReady;
      }
      if (!known)
        (void)repository_.find(route.model, route.version);  // says which versions there are
      return json_response(format_model_ready(route.model, ready && serving),
                           ready && serving ? 200 : 503);
    }
    case Verb::kModelMetadata: {
      const std::shared_ptr<model::Servable> servable =
          repository_.find(route.model, route.version);
      return json_response(format_model_metadata(*servable, repository_.versions(route.model)));
    }
    case Verb::kModelConfig:
      return json_response(format_model_config(*repository_.find(route.model, route.version)));
    case Verb::kModelStatistics:
    case Verb::kAllStatistics:
      return statistics(route);
    case Verb::kRepositoryIndex:
      return json_response(format_repository_index(repository_.index(),
                                                   parse_index_ready_only(request.body.text())));
    case Verb::kModels:
      return openai_.models();
    case Verb::kTfStatus:
      return tf_status(route);
    case Verb::kTfMetadata:
      return json_response(format_tf_metadata(*repository_.find(route.model, route.version)));
    case Verb::kMethodNotAllowed: {
      net::HttpResponse response = json_response(
          format_error(fmt::format("{} is answered to {} only", request.path(), route.allow)), 405);
      response.headers.push_back({"Allow", std::string(route.allow)});
      return response;
    }
    default:
      return json_response(format_error(fmt::format("there is no '{}'; there are: {}",
                                                    request.path(), route_list())),
                           404);
  }
}

// A language model's path is OpenAI's, too.
net::HttpResponse HttpApi::tf_status(const Route& route) const {
  if (route.version.empty() && route.label.empty()) {
    if (std::optional<net::HttpResponse> model = openai_.model(route.model))
      return *std::move(model);
  }
  const std::string wanted = version_of(route);
  std::vector<model::VersionStatus> versions = repository_.versions(route.model);
  if (!wanted.empty())
    std::erase_if(versions, [&](const auto& status) { return status.version != wanted; });
  if (versions.empty())
    throw Error(Code::kNotFound, fmt::format("model '{}' has no such version", route.model));
  return json_response(format_tf_status(versions));
}

// For health checks of Envoy's kind: whether the replica is to get requests, to be spared, or left.
// A check that succeeds brings back who was ejected, so one that drains must fail it.
net::HttpResponse HttpApi::steer() const {
  const fleet::Warmth now = warmth();
  const bool wanted = fleet::steer(now).percent > 0;
  net::HttpResponse response = json_response(fleet::format_warmth(now), wanted ? 200 : 503);
  if (now.state == fleet::ReplicaState::kDraining) {
    response.headers.push_back({fleet::kEjectHeader, "true"});
  } else if (now.state == fleet::ReplicaState::kStarting) {
    response.headers.push_back({fleet::kDegradedHeader, "true"});
  }
  return response;
}

net::HttpResponse HttpApi::metrics_page() const {
  if (options_.caches != nullptr) options_.caches->publish();
  return text_response("text/plain; version=0.0.4; charset=utf-8",
                       metrics::render() + render_language_load(repository_) +
                           render_cold_start(cold_start::record()) +
                           render_states(repository_.index()) + fleet::render_warmth(warmth()));
}

net::HttpResponse HttpApi::health() const {
  const model::Readiness readiness = repository_.readiness();
  const bool draining = warmth_.draining();
  return json_response(
      format_health(draining ? "draining" : model::readiness_name(readiness), repository_.index()),
      readiness == model::Readiness::kReady && !draining ? 200 : 503);
}

net::HttpResponse HttpApi::statistics(const Route& route) const {
  std::vector<ModelStatistics> models;
  const auto versions =
      route.model.empty() ? repository_.index() : repository_.versions(route.model);
  for (const model::VersionStatus& status : versions) {
    if (!route.version.empty() && route.version != status.version) continue;
    if (const auto servable = repository_.peek(status.name, status.version))
      models.push_back({status.name, status.version, servable->statistics()});
  }
  if (models.empty() && !route.model.empty())
    (void)repository_.find(route.model, route.version);  // says why
  return json_response(format_statistics(models));
}

}  // namespace baozi::api
