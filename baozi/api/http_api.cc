#include "baozi/api/http_api.h"

#include <fmt/format.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "baozi/api/answered_by.h"
#include "baozi/api/http_answers.h"
#include "baozi/api/http_cache.h"
#include "baozi/api/in_flight.h"
#include "baozi/api/json_writer.h"
#include "baozi/api/kserve_format.h"
#include "baozi/api/kserve_metadata.h"
#include "baozi/api/kserve_parse.h"
#include "baozi/api/readiness.h"
#include "baozi/api/request_headers.h"
#include "baozi/api/tfserving_format.h"
#include "baozi/api/tfserving_parse.h"
#include "baozi/base/log.h"
#include "baozi/base/metrics.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/model/stand_in.h"

namespace baozi::api {
namespace {

// Smaller bodies are parsed where they came in: a hop costs more. Binary tensors are not parsed,
// but may be copied or hashed.
constexpr std::size_t kInlineBytesMax = 64 << 10;
constexpr std::size_t kInlineTensorBytesMax = 1 << 20;

net::HttpResponse refusal_answer(const model::Refusal& refusal) {
  net::HttpResponse response =
      json_response(format_error(refusal.reason), http_status(Code::kResourceExhausted));
  response.headers.push_back({"Retry-After", std::to_string(refusal.retry_after_s)});
  return response;
}

bool is_tfserving(Verb verb) {
  return verb == Verb::kTfPredict || verb == Verb::kTfClassify || verb == Verb::kTfRegress;
}

// [{"stage":"parse","start_us":12,"end_us":15,"thread":1},…]
std::string timeline_json(const RequestTrace& trace) {
  const auto micros = [&trace](Time time) {
    return std::chrono::duration_cast<std::chrono::microseconds>(time - trace.start()).count();
  };
  std::string out = "[";
  for (const RequestTrace::Stage& stage : trace.stages()) {
    if (out.size() > 1) out += ',';
    out += R"({"stage":)";
    append_json_text(out, stage.name);
    out += fmt::format(R"(,"start_us":{},"end_us":{},"thread":{}}})", micros(stage.start),
                       micros(stage.end), stage.thread);
  }
  out += ']';
  return out;
}

std::size_t bytes_of(const model::InferResponse& response) {
  std::size_t bytes = 0;
  for (const NamedTensor& output : response.outputs) bytes += output.tensor.data().size();
  return bytes;
}

ClassNames class_names(const model::Servable* servable) {
  if (servable == nullptr) return {};
  return {&servable->labels(), servable->signature().batchable()};
}

// Which only a model that is there can name.
bool wants_classes(const OutputWishes& wishes) {
  return std::ranges::any_of(wishes.outputs, [](const OutputWish& w) { return w.classes > 0; });
}

// Whether parsing the body takes longer than a hop.
bool is_large(const net::HttpRequest& request) {
  const std::size_t json = number_header(request, kBinaryHeader).value_or(request.body.size());
  return json > kInlineBytesMax || request.body.size() > kInlineTensorBytesMax;
}

}  // namespace

// What an inference needs besides its bytes.
struct HttpApi::Call {
  Call(Verb asked, RequestTrace* of, prometheus::Gauge& gauge)
      : verb(asked),
        trace(of),
        start(of != nullptr ? of->start() : Clock::now()),
        in_flight(gauge) {}

  Verb verb;
  bool rows = false;  // TensorFlow Serving, as row_count
  bool timeline = false;
  fleet::ReportFormat report = fleet::ReportFormat::kNone;
  RequestTrace* trace;
  Time start;
  Time deadline = kNever;
  std::shared_ptr<model::Servable> servable;
  ModelMetrics* metrics = nullptr;
  OutputWishes wishes;  // KServe
  std::size_t row_count = 0;
  InFlight in_flight;
  std::optional<pipeline::Admission> admission;  // its place is free again when the call ends
};

HttpApi::HttpApi(model::Repository& repository, HttpApiOptions options)
    : repository_(repository),
      options_(std::move(options)),
      in_flight_(metrics::gauge("baozi_requests_in_flight", "Inference requests being worked on")),
      hold_(repository, options_.hold),
      warmth_(repository, hold_, in_flight_, options_.cores),
      openai_(repository, {options_.cpu, options_.gate, &hold_, &in_flight_, options_.caches}) {}

HttpApi::~HttpApi() = default;

// Not a coroutine: an inference request that waits has no frame for this step.
Task<net::HttpResponse> HttpApi::handle(net::HttpRequest request) {
  // A decoded path is rare; it is kept on the heap, where the route's views stay good when moved.
  std::unique_ptr<std::string> decoded;
  Route route;
  try {
    std::string scratch;
    route = find_route(request.method, request.path(), scratch);
    if (!scratch.empty()) {
      decoded = std::make_unique<std::string>();
      route = find_route(request.method, request.path(), *decoded);
    }
  } catch (const Error& error) {
    return answer(error_answer(error));
  }
  switch (route.verb) {
    case Verb::kKserveInfer:
    case Verb::kTfPredict:
    case Verb::kTfClassify:
    case Verb::kTfRegress:
      return infer(std::move(request), route, std::move(decoded));
    case Verb::kChatCompletions:
    case Verb::kCompletions:
    case Verb::kResponses:
    case Verb::kEmbeddings:
    case Verb::kTokenize:
    case Verb::kDetokenize:
      return answer_openai(std::move(request), route.verb);
    default:
      return answer_other(std::move(request), route, std::move(decoded));
  }
}

Task<net::HttpResponse> HttpApi::answer(net::HttpResponse response) { co_return response; }

fleet::ReportFormat HttpApi::wished_report(const net::HttpRequest& request) const {
  const std::string_view wish = request.headers.get(fleet::kReportFormatHeader);
  const fleet::ReportFormat format = fleet::report_format(wish);
  return format != fleet::ReportFormat::kNone ? format : options_.reports;
}

// Not a coroutine: who wishes for no report has no frame for it.
Task<net::HttpResponse> HttpApi::answer_openai(net::HttpRequest request, Verb verb) {
  const fleet::ReportFormat format = wished_report(request);
  Task<net::HttpResponse> answering = openai_.handle(std::move(request), verb);
  if (format == fleet::ReportFormat::kNone && !warmth_.draining()) return answering;
  return reported(std::move(answering), format);
}

Task<net::HttpResponse> HttpApi::reported(Task<net::HttpResponse> answering,
                                          fleet::ReportFormat format) {
  net::HttpResponse response = co_await std::move(answering);
  warmth_.add_headers(format, response);
  co_return response;
}

// Not a coroutine: the request's bytes, its route and its parsed form are gone from memory when it
// waits, but for what the tensors lie in. Large bodies are parsed on the CPU pool.
Task<net::HttpResponse> HttpApi::infer(net::HttpRequest request, Route route,
                                       std::unique_ptr<std::string> decoded) {
  Call call(route.verb, request.trace, in_flight_);
  call.report = wished_report(request);
  try {
    serves(repository_.find(route.model, version_of(route)), call);
  } catch (const model::NotReady& error) {
    if (!error.coming()) return answer(failed(call, route.model, error));
    if (model::ModelCache* const cache = cache_of(route, call)) {
      return infer_absent(std::move(request), route, std::move(decoded), std::move(call), cache,
                          error.status().version);
    }
    return infer_held(std::move(request), route, std::move(decoded), std::move(call));
  } catch (const Error& error) {
    return answer(failed(call, route.model, error));
  }
  return infer_found(std::move(request), route, std::move(decoded), std::move(call));
}

// Its body stays in memory, so it counts as any that was let in.
Task<net::HttpResponse> HttpApi::infer_held(net::HttpRequest request, Route route,
                                            std::unique_ptr<std::string> decoded, Call call) {
  try {
    if (const std::optional<model::Refusal> refusal = enter(request, call))
      co_return finished(call, Code::kResourceExhausted, refusal_answer(*refusal));
    const Duration timeout = timeout_header(request);
    const Time deadline = timeout == Duration{} ? kNever : call.start + timeout;
    Task<std::shared_ptr<model::Servable>> held =
        hold_.wait(std::string(route.model), version_of(route), deadline);
    std::shared_ptr<model::Servable> servable = co_await std::move(held);
    serves(std::move(servable), call);
  } catch (const Error& error) {
    co_return failed(call, route.model, error);
  }
  Task<net::HttpResponse> rest =
      infer_found(std::move(request), route, std::move(decoded), std::move(call));
  net::HttpResponse response = co_await std::move(rest);
  co_return response;
}

Task<net::HttpResponse> HttpApi::infer_found(net::HttpRequest request, Route route,
                                             std::unique_ptr<std::string> decoded, Call call) {
  try {
    if (const std::optional<model::Refusal> refusal = enter(request, call))
      return answer(finished(call, Code::kResourceExhausted, refusal_answer(*refusal)));
    if (options_.cpu != nullptr && is_large(request))
      return infer_large(std::move(request), route, std::move(decoded), std::move(call));
    Task<model::InferResponse> task = begin(request, call);
    return finish(std::move(call), std::move(task));
  } catch (const Error& error) {
    return answer(failed(call, route.model, error));
  }
}

// The cache that may answer for a model which is coming.
model::ModelCache* HttpApi::cache_of(const Route& route, Call& call) {
  if (options_.caches == nullptr) return nullptr;
  model::ModelCache* cache = options_.caches->find(route.model);
  if (cache != nullptr) call.metrics = &metrics_of(call.verb, cache->model());
  return cache;
}

// What is kept for the request; else it waits for its model.
Task<net::HttpResponse> HttpApi::infer_absent(net::HttpRequest request, Route route,
                                              std::unique_ptr<std::string> decoded, Call call,
                                              model::ModelCache* cache, std::string version) {
  try {
    Task<std::shared_ptr<model::StandIn>> asking = model::make_stand_in(cache, version);
    const std::shared_ptr<model::StandIn> stand_in = co_await std::move(asking);
    call.servable = stand_in;
    // A body of JSON that says its types needs no signature.
    const bool plain =
        call.verb == Verb::kKserveInfer && number_header(request, kBinaryHeader) != 0u;
    if (stand_in != nullptr || plain) {
      if (options_.cpu != nullptr && is_large(request)) co_await switch_to(*options_.cpu);
      model::InferRequest wanted =
          stand_in != nullptr ? parse(request, call) : parse_plain(request, *cache, call);
      wanted.version = std::move(version);
      Task<std::optional<model::InferResponse>> looking = cache->find(std::move(wanted));
      std::optional<model::InferResponse> kept = co_await std::move(looking);
      if (kept && (stand_in != nullptr || !wants_classes(call.wishes)))
        co_return finished(call, Code::kOk, format(call, *std::move(kept)));
    }
  } catch (const Error& error) {
    co_return failed(call, cache->model(), error);
  }
  call.servable = nullptr;
  call.wishes = {};
  Task<net::HttpResponse> rest =
      infer_held(std::move(request), route, std::move(decoded), std::move(call));
  net::HttpResponse response = co_await std::move(rest);
  co_return response;
}

// Of a model whose signature is not known.
model::InferRequest HttpApi::parse_plain(const net::HttpRequest& request,
                                         const model::ModelCache& cache, Call& call) const {
  check_encoding(request);
  KserveInfer kserve = parse_kserve_infer(request.body, number_header(request, kBinaryHeader),
                                          net::HttpRequest::kBodyPadding);
  read_cache_headers(request.headers, kserve.request);
  kserve.request.model = cache.model();
  call.wishes = std::move(kserve.wishes);
  return std::move(kserve.request);
}

Task<net::HttpResponse> HttpApi::infer_large(net::HttpRequest request, Route route,
                                             [[maybe_unused]] std::unique_ptr<std::string> decoded,
                                             Call call) {
  co_await switch_to(*options_.cpu);
  Task<model::InferResponse> task;
  try {
    task = begin(request, call);
  } catch (const Error& error) {
    co_return failed(call, route.model, error);
  }
  request = net::HttpRequest();  // the tensors keep those bytes of the body that they lie in
  Task<net::HttpResponse> rest = finish(std::move(call), std::move(task));
  net::HttpResponse response = co_await std::move(rest);
  co_return response;
}

// Ten thousand requests may wait here at once.
Task<net::HttpResponse> HttpApi::finish(Call call, Task<model::InferResponse> task) {
  try {
    model::InferResponse inferred = co_await std::move(task);
    if (options_.cpu != nullptr && bytes_of(inferred) > kInlineBytesMax)
      co_await switch_to(*options_.cpu);
    co_return finished(call, Code::kOk, format(call, std::move(inferred)));
  } catch (const Error& error) {
    co_return failed(call, call.servable->name(), error);
  }
}

net::HttpResponse HttpApi::finished(Call& call, Code code, net::HttpResponse response) {
  if (code == Code::kOk) cold_start::first_answer();
  ModelMetrics& mine = call.metrics != nullptr ? *call.metrics : metrics_of(call.verb, "");
  mine.answered(code, Clock::now() - call.start);
  if (call.trace != nullptr) mine.stages(*call.trace);
  warmth_.add_headers(call.report, response);
  return response;
}

net::HttpResponse HttpApi::failed(Call& call, std::string_view model, const Error& error) {
  if (http_status(error.code()) == 500) {  // no caller's mistake, nor a full or slow server
    log().warn("{}: {}", model, error.describe());
  }
  return finished(call, error.code(), error_answer(error));
}

ModelMetrics& HttpApi::metrics_of(Verb verb, std::string_view model) {
  return (is_tfserving(verb) ? tfserving_metrics_ : kserve_metrics_).of(model);
}

std::string HttpApi::version_of(const Route& route) const {
  return route.label.empty() ? std::string(route.version)
                             : repository_.version_of(route.model, route.label);
}

void HttpApi::serves(std::shared_ptr<model::Servable> servable, Call& call) {
  call.servable = std::move(servable);
  call.metrics = &metrics_of(call.verb, call.servable->name());
}

// Why there is no room for it now; otherwise its place is taken.
std::optional<model::Refusal> HttpApi::enter(const net::HttpRequest& request, Call& call) {
  std::optional<model::Refusal> refusal;
  if (call.servable != nullptr) refusal = call.servable->refusal();
  if (refusal || call.admission || options_.gate == nullptr) return refusal;
  call.admission.emplace(options_.gate->try_enter(request.body.size()));
  if (!call.admission->admitted()) refusal = call.admission->refusal();
  return refusal;
}

// Not a coroutine, so that the parsed request lies in the servable's frame only.
Task<model::InferResponse> HttpApi::begin(const net::HttpRequest& request, Call& call) const {
  Task<model::InferResponse> task = call.servable->infer(parse(request, call));
  if (call.deadline != kNever) task = with_deadline(std::move(task), call.deadline);
  return task;
}

model::InferRequest HttpApi::parse(const net::HttpRequest& request, Call& call) const {
  const StageScope stage(request.trace, "parse");
  check_encoding(request);
  Allocator& allocator = options_.allocator != nullptr ? *options_.allocator : heap_allocator();
  Duration timeout{};
  model::InferRequest parsed;
  if (call.verb == Verb::kKserveInfer) {
    const std::optional<std::uint64_t> json_size = number_header(request, kBinaryHeader);
    KserveInfer kserve = json_size == 0u
                             ? raw_kserve_infer(request.body, call.servable->signature(), allocator)
                             : parse_kserve_infer(request.body, json_size,
                                                  net::HttpRequest::kBodyPadding, allocator);
    parsed = std::move(kserve.request);
    call.wishes = std::move(kserve.wishes);
    call.timeline = kserve.timeline;
    timeout = kserve.timeout;
  } else {
    const auto read = call.verb == Verb::kTfPredict ? parse_tf_predict : parse_tf_examples;
    TfPredict predict =
        read(request.body, net::HttpRequest::kBodyPadding, call.servable->signature());
    parsed = std::move(predict.request);
    call.rows = predict.rows;
    call.row_count = predict.row_count;
  }
  parsed.model = call.servable->name();
  parsed.version = call.servable->version();
  if (call.servable->cached()) read_cache_headers(request.headers, parsed);
  if (request.headers.get(kTimelineHeader) == "1") call.timeline = true;
  if (const Duration asked = timeout_header(request); asked != Duration{})
    timeout = timeout == Duration{} ? asked : std::min(timeout, asked);
  if (timeout != Duration{}) {
    call.deadline = call.start + timeout;
  }
  return parsed;
}

net::HttpResponse HttpApi::format(const Call& call, model::InferResponse response) const {
  std::string timeline;
  if (call.timeline && call.trace != nullptr) timeline = timeline_json(*call.trace);
  const StageScope stage(call.trace, "format");
  net::HttpResponse answer;
  add_age(response.age, answer);
  add_answered_by(response, answer);
  if (call.verb == Verb::kKserveInfer) {
    if (!timeline.empty()) response.parameters["timeline"] = std::move(timeline);
    const ClassNames classes = class_names(call.servable.get());
    KserveReply reply = format_kserve_infer(response, call.wishes, classes);
    if (!reply.tensors.empty()) {
      answer.headers.push_back({kBinaryHeader, std::to_string(reply.json.size())});
      answer.content_type = "application/octet-stream";
      answer.segments = std::move(reply.tensors);
    }
    answer.body = std::move(reply.json);
    return answer;
  }
  if (!timeline.empty()) answer.headers.push_back({kTimelineHeader, std::move(timeline)});
  if (call.verb == Verb::kTfClassify) {
    answer.body = format_tf_classify(response, call.row_count, call.servable->labels());
  } else if (call.verb == Verb::kTfRegress) {
    answer.body = format_tf_regress(response, call.row_count);
  } else {
    answer.body =
        call.rows ? format_tf_predictions(response, call.row_count) : format_tf_outputs(response);
  }
  return answer;
}

}  // namespace baozi::api
