// HttpApi: answers HTTP requests in KServe v2's and TensorFlow Serving's REST protocols and
// OpenAI's, and the server's own pages.
//
// Thread safety: all methods. `repository`, and what the options point at, outlive it.
//
//   api::HttpApi api(repository, {.server_version = "0.1.0", .cpu = &pool});
//   net::HttpServer server(io, {.port = 8000, .body_offset_header = api::kBinaryHeader}, api);
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "baozi/api/hold.h"
#include "baozi/api/model_control.h"
#include "baozi/api/openai_api.h"
#include "baozi/api/replica_warmth.h"
#include "baozi/api/request_metrics.h"
#include "baozi/api/routes.h"
#include "baozi/base/bytes.h"
#include "baozi/coro/executor.h"
#include "baozi/fleet/load_report.h"
#include "baozi/fleet/warmth.h"
#include "baozi/model/model_cache.h"
#include "baozi/model/repository.h"
#include "baozi/model/servable.h"
#include "baozi/net/http.h"
#include "baozi/pipeline/admission.h"

namespace baozi::api {

// Request and response header: how many bytes of the body are JSON, before binary tensors.
inline constexpr std::string_view kBinaryHeader = "Inference-Header-Content-Length";
// Request header of ours: the wish to see the stages ("1").
inline constexpr std::string_view kTimelineHeader = "x-baozi-timeline";

struct HttpApiOptions {
  std::string server_version;
  int cores = 1;  // what utilisation is counted by
  Executor* cpu =
      nullptr;  // where large bodies are parsed and formatted; null: where the request came in
  ModelControl* control = nullptr;  // null: loading and unloading are answered with 501
  Allocator* allocator = nullptr;   // of the inputs' memory; null: the heap
  pipeline::Gate* gate = nullptr;   // whom to let in beyond what each model says; null: everybody
  HoldOptions hold = {};            // of requests whose model is still being brought up
  model::ResponseCaches* caches = nullptr;  // what is answered while its model loads; null: nothing
  // Of load reports that nobody has wished for.
  fleet::ReportFormat reports = fleet::ReportFormat::kNone;
};

class HttpApi final : public net::HttpHandler {
 public:
  HttpApi(model::Repository& repository, HttpApiOptions options);
  ~HttpApi() override;

  // Never throws an Error: each is answered in the protocol's shape.
  Task<net::HttpResponse> handle(net::HttpRequest request) override;

  // What balancers are to know of this replica now.
  fleet::Warmth warmth() const { return warmth_.read(); }

  // From now on health says "draining", with 503.
  void set_draining() noexcept { warmth_.set_draining(); }

 private:
  struct Call;

  // `decoded` keeps what the route's views point into, when they do not point into the request.
  Task<net::HttpResponse> infer(net::HttpRequest request, Route route,
                                std::unique_ptr<std::string> decoded);
  Task<net::HttpResponse> infer_held(net::HttpRequest request, Route route,
                                     std::unique_ptr<std::string> decoded, Call call);
  Task<net::HttpResponse> infer_found(net::HttpRequest request, Route route,
                                      std::unique_ptr<std::string> decoded, Call call);
  Task<net::HttpResponse> answer_other(net::HttpRequest request, Route route,
                                       std::unique_ptr<std::string> decoded);
  static Task<net::HttpResponse> answer(net::HttpResponse response);
  fleet::ReportFormat wished_report(const net::HttpRequest& request) const;
  Task<net::HttpResponse> answer_openai(net::HttpRequest request, Verb verb);
  Task<net::HttpResponse> reported(Task<net::HttpResponse> answering, fleet::ReportFormat format);
  Task<net::HttpResponse> record_trace(net::HttpRequest request);
  Task<net::HttpResponse> control(Route route);
  net::HttpResponse describe(const net::HttpRequest& request, const Route& route) const;
  net::HttpResponse tf_status(const Route& route) const;
  net::HttpResponse health() const;
  net::HttpResponse steer() const;
  net::HttpResponse metrics_page() const;
  net::HttpResponse statistics(const Route& route) const;
  ModelMetrics& metrics_of(Verb verb, std::string_view model);
  std::string version_of(const Route& route) const;  // its label's, where it has one
  void serves(std::shared_ptr<model::Servable> servable, Call& call);
  std::optional<model::Refusal> enter(const net::HttpRequest& request, Call& call);
  model::ModelCache* cache_of(const Route& route, Call& call);
  Task<net::HttpResponse> infer_absent(net::HttpRequest request, Route route,
                                       std::unique_ptr<std::string> decoded, Call call,
                                       model::ModelCache* cache, std::string version);
  model::InferRequest parse_plain(const net::HttpRequest& request, const model::ModelCache& cache,
                                  Call& call) const;
  Task<model::InferResponse> begin(const net::HttpRequest& request, Call& call) const;
  Task<net::HttpResponse> infer_large(net::HttpRequest request, Route route,
                                      std::unique_ptr<std::string> decoded, Call call);
  Task<net::HttpResponse> finish(Call call, Task<model::InferResponse> task);
  net::HttpResponse finished(Call& call, Code code, net::HttpResponse response);
  net::HttpResponse failed(Call& call, std::string_view model, const Error& error);
  model::InferRequest parse(const net::HttpRequest& request, Call& call) const;
  net::HttpResponse format(const Call& call, model::InferResponse response) const;

  model::Repository& repository_;
  const HttpApiOptions options_;
  RequestMetrics kserve_metrics_{"kserve"};
  RequestMetrics tfserving_metrics_{"tfserving"};
  prometheus::Gauge& in_flight_;
  Hold hold_;
  ReplicaWarmth warmth_;
  OpenAiApi openai_;
  std::atomic<bool> recording_{false};  // one trace at a time
};

}  // namespace baozi::api
