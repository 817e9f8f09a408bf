#include "baozi/api/openai_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <utility>

#include "baozi/api/answered_by.h"
#include "baozi/api/http_cache.h"
#include "baozi/api/openai_error.h"
#include "baozi/api/openai_kept.h"
#include "baozi/api/openai_models.h"
#include "baozi/api/openai_parse.h"
#include "baozi/api/openai_tokens.h"
#include "baozi/api/request_headers.h"
#include "baozi/base/cold_start.h"
#include "baozi/base/log.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/model/stand_in.h"
#include "baozi/net/sse.h"

namespace baozi::api {
namespace {

constexpr std::size_t kSpare = net::HttpRequest::kBodyPadding;

net::HttpResponse json_response(std::string body) {
  net::HttpResponse response;
  response.body = std::move(body);
  return response;
}

// Who asks, when the request does not say so: by the key of a proxy in front, else by the address.
// The key itself is kept nowhere.
std::string client_of(const net::HttpRequest& request) {
  const std::string_view key = request.headers.get("x-api-key");
  if (!key.empty()) return fmt::format("key {:016x}", std::hash<std::string_view>()(key));
  return std::string(request.peer.substr(0, request.peer.rfind(':')));
}

void read_cache_headers(const net::HttpHeaders& headers, TextWishes& wishes) {
  llm::CompletionRequest& completion = wishes.completion;
  completion.repeatable = completion.sampling.temperature <= 0 || wishes.seed.has_value();
  completion.cache = cache_wish(headers);
  completion.tenant = headers.get(kTenantHeader);
}

[[noreturn]] void refuse(const model::Refusal& refusal, RequestRecord& record) {
  record.retry_after_s = refusal.retry_after_s;
  throw Error(Code::kResourceExhausted, std::string(refusal.reason));
}

net::HttpResponse embeddings_answer(const EmbeddingsRequest& wanted,
                                    const model::Servable& servable,
                                    const model::InferResponse& vectors) {
  net::HttpResponse response = json_response(format_embeddings(wanted, servable, vectors));
  add_age(vectors.age, response);
  add_answered_by(vectors, response);
  return response;
}

net::HttpResponse failed(RequestRecord& record, const Error& error) {
  if (http_status(error.code()) == 500) log().warn("{}", error.describe());
  record.answered(error.code());
  return openai_error(error, std::max(record.retry_after_s, retry_after_s(error)));
}

}  // namespace

OpenAiApi::OpenAiApi(model::Repository& repository, OpenAiOptions options)
    : repository_(repository),
      options_(options),
      started_(std::chrono::duration_cast<std::chrono::seconds>(
                   std::chrono::system_clock::now().time_since_epoch())
                   .count()) {}

net::HttpResponse OpenAiApi::models() const {
  return json_response(format_models(repository_, started_));
}

std::optional<net::HttpResponse> OpenAiApi::model(std::string_view name) const {
  std::optional<std::string> object = format_model(repository_, name, started_);
  if (!object) return std::nullopt;
  return json_response(*std::move(object));
}

Task<net::HttpResponse> OpenAiApi::handle(net::HttpRequest request, Verb verb) {
  const auto record =
      std::make_shared<RequestRecord>(metrics_.of(""), *options_.in_flight, request.trace);
  try {
    enter(request, *record);
    Task<net::HttpResponse> task = answer(std::move(request), verb, record);
    if (record->deadline != kNever) task = with_deadline(std::move(task), record->deadline);
    net::HttpResponse response = co_await std::move(task);
    cold_start::first_answer();
    if (response.stream == nullptr) record->answered(Code::kOk);
    co_return response;
  } catch (const Error& error) {
    co_return failed(*record, error);
  }
}

void OpenAiApi::enter(const net::HttpRequest& request, RequestRecord& record) const {
  check_encoding(request);
  if (const Duration timeout = timeout_header(request); timeout != Duration{})
    record.deadline = record.start + timeout;
  if (options_.gate == nullptr) return;
  record.admission.emplace(options_.gate->try_enter(request.body.size()));
  if (!record.admission->admitted()) refuse(record.admission->refusal(), record);
}

// Not a coroutine: the endpoints' own tasks are.
Task<net::HttpResponse> OpenAiApi::answer(net::HttpRequest request, Verb verb, Record record) {
  switch (verb) {
    case Verb::kEmbeddings:
      return embeddings(std::move(request), std::move(record));
    case Verb::kTokenize:
    case Verb::kDetokenize:
      return tokens(std::move(request), verb, std::move(record));
    default:
      return text(std::move(request), verb, std::move(record));
  }
}

// The first piece of a stream is awaited here, so that what goes wrong until then has a status.
Task<net::HttpResponse> OpenAiApi::text(net::HttpRequest request, Verb verb, Record record) {
  Task<TextCall> preparing = prepare(std::move(request), verb, record);
  TextCall call = co_await std::move(preparing);
  const AnswerTimer timer(language_metrics_.of(call.model), record->start);
  net::HttpResponse response;
  add_age(call.answers->age(), response);
  if (call.stream) {
    auto stream = std::make_unique<TextStream>(std::move(call), timer, std::move(record));
    response.content_type = net::kSseContentType;
    response.headers.push_back({"Cache-Control", "no-cache"});
    std::string first = co_await stream->next();
    response.body = std::move(first);
    response.stream = std::move(stream);
  } else {
    Task<std::string> writing = whole_body(std::move(call), timer, options_.cpu);
    std::string body = co_await std::move(writing);
    response.body = std::move(body);
  }
  co_return response;
}

Task<TextCall> OpenAiApi::prepare(net::HttpRequest request, Verb verb, Record record) {
  if (options_.cpu != nullptr) co_await switch_to(*options_.cpu);
  const auto start_it = [&] { return start(request, verb, *record); };
  std::optional<model::VersionStatus> absent;
  try {
    co_return start_it();
  } catch (const model::NotReady& error) {
    if (!error.coming()) throw;
    absent = error.status();
  }
  if (std::optional<TextAsk> ask = ask_of_absent(request, verb, *absent)) {
    Task<std::optional<TextCall>> looking =
        find_kept(options_.caches->find(absent->name), absent->version, *std::move(ask));
    std::optional<TextCall> kept = co_await std::move(looking);
    if (kept) {
      record->belongs_to(metrics_.of(absent->name));
      co_return *std::move(kept);
    }
  }
  Task<TextCall> starting = held(start_it, record);
  TextCall call = co_await std::move(starting);
  co_return call;
}

// Nothing when what is kept cannot answer it. A cascade that names no model of its own cannot: that
// another one of its models would have been asked is not known.
std::optional<TextAsk> OpenAiApi::ask_of_absent(const net::HttpRequest& request, Verb verb,
                                                const model::VersionStatus& absent) const {
  if (options_.caches == nullptr || options_.caches->find(absent.name) == nullptr)
    return std::nullopt;
  TextAsk ask = parse_ask(verb, request.body.text(), kSpare);
  TextWishes& wishes = wishes_of(ask);
  if (!wishes.model.empty() && wishes.model != absent.name) {
    const auto at = std::ranges::find(absent.adapters, wishes.model);
    if (at == absent.adapters.end()) return std::nullopt;
    wishes.completion.adapter = static_cast<int>(at - absent.adapters.begin()) + 1;
  }
  read_cache_headers(request.headers, wishes);
  const llm::CompletionRequest& completion = wishes.completion;
  if (!completion.repeatable || completion.cache != model::CacheWish::kUse) return std::nullopt;
  return ask;
}

template <class Find>
Task<std::invoke_result_t<Find&>> OpenAiApi::held(Find find, Record record) {
  for (;;) {
    std::optional<model::VersionStatus> awaited;
    try {
      co_return find();
    } catch (const model::NotReady& error) {
      if (!error.coming() || options_.hold == nullptr) throw;
      awaited = error.status();
    }
    Task<std::shared_ptr<model::Servable>> waiting =
        options_.hold->wait(awaited->name, awaited->version, record->deadline);
    co_await std::move(waiting);
  }
}

TextCall OpenAiApi::start(const net::HttpRequest& request, Verb verb, RequestRecord& record) {
  const StageScope stage(request.trace, "prepare");
  TextAsk ask = parse_ask(verb, request.body.text(), kSpare);
  const auto servable = find_language(wishes_of(ask), record);
  if (servable->cached()) read_cache_headers(request.headers, wishes_of(ask));
  const auto coming = servable->coming();
  model::ModelCache* const cache =
      options_.caches != nullptr ? options_.caches->find(servable->name()) : nullptr;
  std::unique_ptr<TextNote> note = TextNote::of(cache, *servable, ask);
  return start_text(servable, std::move(ask), client_of(request), std::move(note));
}

// Of a model for embeddings that is coming: who has what is kept of it. Null: nobody, or it is
// there.
Task<std::shared_ptr<model::StandIn>> OpenAiApi::stand_in(std::string model) const {
  std::optional<model::VersionStatus> absent;
  try {
    (void)find_embedding_model(repository_, model);
  } catch (const model::NotReady& error) {
    if (error.coming()) absent = error.status();
  }
  model::ModelCache* const cache =
      absent && options_.caches != nullptr ? options_.caches->find(absent->name) : nullptr;
  if (cache == nullptr) co_return nullptr;
  Task<std::shared_ptr<model::StandIn>> asking = model::make_stand_in(cache, absent->version);
  std::shared_ptr<model::StandIn> found = co_await std::move(asking);
  co_return found != nullptr&& is_embedding_model(*found) ? found : nullptr;
}

Task<net::HttpResponse> OpenAiApi::embeddings(net::HttpRequest request, Record record) {
  if (options_.cpu != nullptr) co_await switch_to(*options_.cpu);
  const EmbeddingsRequest wanted = parse_embeddings_request(request.body.text(), kSpare);
  Task<std::shared_ptr<model::StandIn>> standing = stand_in(wanted.model);
  const std::shared_ptr<model::StandIn> absent = co_await std::move(standing);
  if (absent != nullptr) {
    model::InferRequest input = embeddings_input(wanted, *absent);
    read_cache_headers(request.headers, input);
    Task<std::optional<model::InferResponse>> looking = absent->find(std::move(input));
    const std::optional<model::InferResponse> kept = co_await std::move(looking);
    if (kept) {
      record->belongs_to(metrics_.of(absent->name()));
      co_return embeddings_answer(wanted, *absent, *kept);
    }
  }
  const auto find = [&] { return find_embedding_model(repository_, wanted.model); };
  Task<std::shared_ptr<model::Servable>> finding = held(find, record);
  const std::shared_ptr<model::Servable> servable = co_await std::move(finding);
  knows(*servable, *record);
  model::InferRequest input = embeddings_input(wanted, *servable);
  if (servable->cached()) read_cache_headers(request.headers, input);
  Task<model::InferResponse> asking = servable->infer(std::move(input));
  const model::InferResponse vectors = co_await std::move(asking);
  co_return embeddings_answer(wanted, *servable, vectors);
}

Task<net::HttpResponse> OpenAiApi::tokens(net::HttpRequest request, Verb verb, Record record) {
  if (options_.cpu != nullptr) co_await switch_to(*options_.cpu);
  const auto answer_it = [&] { return tokens_answer(request, verb, *record); };
  Task<std::string> answering = held(answer_it, record);
  std::string body = co_await std::move(answering);
  co_return json_response(std::move(body));
}

std::string OpenAiApi::tokens_answer(const net::HttpRequest& request, Verb verb,
                                     RequestRecord& record) {
  const std::string_view body = request.body.text();
  if (verb == Verb::kTokenize) {
    const TokenizeRequest wanted = parse_tokenize_request(body, kSpare);
    return format_tokens(wanted, find_language(wanted.model, record).servable->language());
  }
  const DetokenizeRequest wanted = parse_detokenize_request(body, kSpare);
  return format_content(wanted, find_language(wanted.model, record).servable->language());
}

LanguageChoice OpenAiApi::find_language(const std::string& name, RequestRecord& record) {
  LanguageChoice found = find_language_model(repository_, name);
  knows(*found.servable, record);
  return found;
}

std::shared_ptr<llm::LanguageServable> OpenAiApi::find_language(TextWishes& wishes,
                                                                RequestRecord& record) {
  LanguageChoice found = find_language(wishes.model, record);
  wishes.completion.adapter = found.adapter;
  return std::move(found.servable);
}

// From here on the request counts as the model's, which may have no room for it.
void OpenAiApi::knows(const model::Servable& servable, RequestRecord& record) {
  record.belongs_to(metrics_.of(servable.name()));
  if (const std::optional<model::Refusal> refusal = servable.refusal()) refuse(*refusal, record);
}

}  // namespace baozi::api
