// OpenAiApi: answers requests in the protocol of OpenAI's API, and the few of llama-server that
// clients of language models use beside it: /tokenize and /detokenize.
//
// Thread safety: all methods. `repository`, and what the options point at, outlive it.
//
//   OpenAiApi openai(repository, {.cpu = &pool, .in_flight = &gauge});
//   net::HttpResponse response = co_await openai.handle(std::move(request), route.verb);
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "baozi/api/hold.h"
#include "baozi/api/language_metrics.h"
#include "baozi/api/openai_models.h"
#include "baozi/api/openai_text.h"
#include "baozi/api/request_metrics.h"
#include "baozi/api/routes.h"
#include "baozi/coro/executor.h"
#include "baozi/model/model_cache.h"
#include "baozi/model/repository.h"
#include "baozi/model/servable.h"
#include "baozi/model/stand_in.h"
#include "baozi/net/http.h"
#include "baozi/pipeline/admission.h"

namespace baozi::api {

struct OpenAiOptions {
  Executor* cpu = nullptr;         // where prompts are templated and tokenised; null: where the
                                   // request came in
  pipeline::Gate* gate = nullptr;  // whom to let in; null: everybody
  Hold* hold = nullptr;            // where requests wait for their model; null: nowhere
  prometheus::Gauge* in_flight = nullptr;   // not null
  model::ResponseCaches* caches = nullptr;  // what is answered while its model loads; null: nothing
};

class OpenAiApi {
 public:
  OpenAiApi(model::Repository& repository, OpenAiOptions options);

  // POST to one of the endpoints. Never throws an Error: each is answered in the protocol's shape.
  Task<net::HttpResponse> handle(net::HttpRequest request, Verb verb);

  // GET /v1/models, and one of them; nothing when that is no language model, as far as is known.
  net::HttpResponse models() const;
  std::optional<net::HttpResponse> model(std::string_view name) const;

 private:
  using Record = std::shared_ptr<RequestRecord>;

  void enter(const net::HttpRequest& request, RequestRecord& record) const;
  Task<net::HttpResponse> answer(net::HttpRequest request, Verb verb, Record record);
  Task<net::HttpResponse> text(net::HttpRequest request, Verb verb, Record record);
  Task<TextCall> prepare(net::HttpRequest request, Verb verb, Record record);
  TextCall start(const net::HttpRequest& request, Verb verb, RequestRecord& record);
  std::optional<TextAsk> ask_of_absent(const net::HttpRequest& request, Verb verb,
                                       const model::VersionStatus& absent) const;
  // What `find` gives, once the model that it looks for is there.
  template <class Find>
  Task<std::invoke_result_t<Find&>> held(Find find, Record record);
  Task<std::shared_ptr<model::StandIn>> stand_in(std::string model) const;
  Task<net::HttpResponse> embeddings(net::HttpRequest request, Record record);
  Task<net::HttpResponse> tokens(net::HttpRequest request, Verb verb, Record record);
  std::string tokens_answer(const net::HttpRequest& request, Verb verb, RequestRecord& record);
  LanguageChoice find_language(const std::string& name, RequestRecord& record);
  // The wishes' model; the adapter that its name may be is noted in them.
  std::shared_ptr<llm::LanguageServable> find_language(TextWishes& wishes, RequestRecord& record);
  void knows(const model::Servable& servable, RequestRecord& record);

  model::Repository& repository_;
  const OpenAiOptions options_;
  const std::int64_t started_;  // seconds since the epoch: "created" of the models
  RequestMetrics metrics_{"openai"};
  LanguageMetricsByModel language_metrics_;
};

}  // namespace baozi::api
