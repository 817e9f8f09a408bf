#include "baozi/api/http_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baozi/api/http_api.h"
#include "baozi/api/test_language_servable.h"
#include "baozi/base/error.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/llm/cached_language.h"
#include "baozi/model/cached_model.h"

namespace baozi::api {
namespace {

using model::CacheWish;
using net::HttpMethod;
using ::testing::HasSubstr;

CacheWish wish_of(std::vector<std::pair<std::string, std::string>> headers) {
  return cache_wish(net::make_request(HttpMethod::kPost, "/", std::move(headers)).headers);
}

TEST(CacheControl, IsRead) {
  EXPECT_EQ(wish_of({}), CacheWish::kUse);
  EXPECT_EQ(wish_of({{"Cache-Control", "no-cache"}}), CacheWish::kRefresh);
  EXPECT_EQ(wish_of({{"cache-control", "No-Store"}}), CacheWish::kNone);
  EXPECT_EQ(wish_of({{"Cache-Control", "max-age=0 ,\tno-cache"}}), CacheWish::kRefresh);
  EXPECT_EQ(wish_of({{"Cache-Control", "no-cache, no-store"}}), CacheWish::kNone);
  EXPECT_EQ(wish_of({{"Cache-Control", "no-cache"}, {"Cache-Control", "no-store"}}),
            CacheWish::kNone);
  EXPECT_EQ(wish_of({{"Cache-Control", "only-if-cached, no-cachex, "}}), CacheWish::kUse);
  EXPECT_EQ(wish_of({{"Cache-Control", ",,"}}), CacheWish::kUse);
}

// Gives x back as y, and counts.
class Echo final : public model::Servable {
 public:
  Echo() {
    engine::TensorSpec spec;
    spec.name = "x";
    spec.dtype = DType::kFp32;
    spec.shape = {-1, 2};
    signature_.inputs.push_back(spec);
    spec.name = "y";
    signature_.outputs.push_back(spec);
  }
  const std::string& name() const noexcept override { return name_; }
  const std::string& version() const noexcept override { return version_; }
  std::string_view platform() const noexcept override { return "test_echo"; }
  const engine::Signature& signature() const noexcept override { return signature_; }
  const std::vector<std::string>& labels() const noexcept override { return labels_; }
  bool ready() const noexcept override { return true; }
  model::Statistics statistics() const override { return {}; }
  Task<model::InferResponse> infer(model::InferRequest request) override {
    ++runs;
    model::InferResponse response{request.model, version_, request.id, {}, {}};
    response.outputs.push_back({"y", get_tensor(request.inputs, "x")});
    co_return response;
  }

  int runs = 0;

 private:
  const std::string name_ = "echo";
  const std::string version_ = "1";
  const std::vector<std::string> labels_ = {"cat", "dog"};
  engine::Signature signature_;
};

constexpr std::string_view kJson =
    R"({"id":"7","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[0.5,2]}]})";
const std::string kRaw("\0\0\0\x3f\0\0\0\x40", 8);  // the same values

class HttpCacheTest : public ::testing::Test {
 protected:
  HttpCacheTest() { cache_.announce("1", "digest"); }
  ~HttpCacheTest() override { sync_wait(caches_.join()); }

  void serve() { repository_.add(std::make_shared<model::CachedModel>(echo_, cache_)); }
  void set_state(model::State state, const char* version = "1") {
    repository_.forget("echo", version);
    repository_.set_status({"echo", version, state, ""});
  }

  net::HttpResponse post(std::string target, std::string_view body,
                         std::vector<std::pair<std::string, std::string>> headers = {}) {
    net::HttpRequest request =
        net::make_request(HttpMethod::kPost, std::move(target), std::move(headers), body);
    RequestTrace trace;
    request.trace = &trace;
    return sync_wait(api_.handle(std::move(request)));
  }
  net::HttpResponse infer(std::vector<std::pair<std::string, std::string>> headers = {}) {
    return post("/v2/models/echo/infer", kJson, std::move(headers));
  }
  net::HttpResponse infer_binary() {
    const std::string json =
        R"({"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}]})";
    return post("/v2/models/echo/infer", json + kRaw,
                {{std::string(kBinaryHeader), std::to_string(json.size())}});
  }
  static std::string age(const net::HttpResponse& response) {
    for (const net::HttpResponseHeader& each : response.headers) {
      if (each.name == "Age") return each.value;
    }
    return "none";
  }

  ThreadPool cpu_{1, "cpu"};
  model::Repository repository_;
  model::ResponseCaches caches_{{.bytes_max = 1 << 20}, cpu_};
  model::ModelCache& cache_ = caches_.add("echo", {.ttl = std::chrono::hours(1)});
  std::shared_ptr<Echo> echo_ = std::make_shared<Echo>();
  HttpApi api_{repository_,
               {.server_version = "9.9", .hold = {.requests_max = 0}, .caches = &caches_}};
};

TEST_F(HttpCacheTest, AHitHasAnAge) {
  serve();
  const net::HttpResponse first = infer();
  EXPECT_EQ(age(first), "none");
  const net::HttpResponse second = infer();
  EXPECT_EQ(age(second), "0");
  EXPECT_EQ(second.body, first.body);
  EXPECT_EQ(echo_->runs, 1);
}

TEST_F(HttpCacheTest, AllFormsOfARequestShareAnEntry) {
  serve();
  infer();
  EXPECT_EQ(age(infer_binary()), "0");
  EXPECT_EQ(age(post("/v2/models/echo/infer", kRaw, {{std::string(kBinaryHeader), "0"}})), "0");
  EXPECT_EQ(age(post("/v2/models/echo/versions/1/infer", kJson)), "0");
  const net::HttpResponse rows = post("/v1/models/echo:predict", R"({"instances":[[0.5,2]]})");
  EXPECT_EQ(age(rows), "0");
  EXPECT_EQ(rows.body, R"({"predictions":[[0.5,2.0]]})");
  const net::HttpResponse classes =
      post("/v1/models/echo:classify", R"({"examples":[{"x":[0.5,2]}]})");
  EXPECT_EQ(age(classes), "0");
  EXPECT_THAT(classes.body, HasSubstr("dog"));
  EXPECT_EQ(echo_->runs, 1);
}

TEST_F(HttpCacheTest, CacheControlIsHonoured) {
  serve();
  infer();
  EXPECT_EQ(age(infer({{"Cache-Control", "no-cache"}})), "none");
  EXPECT_EQ(age(infer({{"Cache-Control", "no-store"}})), "none");
  EXPECT_EQ(age(post("/v1/models/echo:predict", R"({"inputs":[[0.5,2]]})",
                     {{"Cache-Control", "no-cache"}})),
            "none");
  EXPECT_EQ(echo_->runs, 4);
  EXPECT_EQ(age(infer()), "0");
}

TEST_F(HttpCacheTest, TenantsShareNothing) {
  serve();
  infer({{"x-tenant", "one"}});
  EXPECT_EQ(age(infer({{"X-Tenant", "one"}})), "0");
  EXPECT_EQ(age(infer({{"X-Tenant", "two"}})), "none");
  EXPECT_EQ(age(infer()), "none");
}

TEST_F(HttpCacheTest, StatisticsAndMetricsSayHowOften) {
  serve();
  infer();
  infer();
  infer();
  const auto get = [&](std::string target) {
    net::HttpRequest request = net::make_request(HttpMethod::kGet, std::move(target));
    return sync_wait(api_.handle(std::move(request))).body;
  };
  EXPECT_THAT(get("/v2/models/echo/stats"), HasSubstr(R"("cache_hit":{"count":2,)"));
  EXPECT_THAT(get("/v2/models/echo/stats"), HasSubstr(R"("cache_miss":{"count":1,)"));
  const std::string metrics = get("/metrics");
  EXPECT_THAT(metrics, HasSubstr(R"(baozi_cache_requests_total{model="echo",result="hit"})"));
  EXPECT_THAT(metrics, HasSubstr("baozi_cache_entries 1"));
}

TEST_F(HttpCacheTest, AHitWhileTheModelLoads) {
  serve();
  infer();
  for (const model::State state :
       {model::State::kAbsent, model::State::kLoading, model::State::kWarming}) {
    set_state(state);
    const net::HttpResponse kept = infer();
    EXPECT_EQ(kept.status, 200) << kept.body;
    EXPECT_EQ(age(kept), "0");
    EXPECT_THAT(kept.body, HasSubstr(R"("id":"7","model_name":"echo","model_version":"1")"));
    EXPECT_EQ(infer_binary().status, 200);
  }
  EXPECT_EQ(echo_->runs, 1);
}

TEST_F(HttpCacheTest, WhatIsNotKeptWaitsForTheModel) {
  serve();
  infer();
  set_state(model::State::kLoading);
  const net::HttpResponse other =
      post("/v2/models/echo/infer",
           R"({"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]})");
  EXPECT_EQ(other.status, 503);
  EXPECT_THAT(other.body, HasSubstr("not ready"));
  EXPECT_EQ(infer({{"Cache-Control", "no-cache"}}).status, 503);
  EXPECT_EQ(post("/v2/models/echo/infer", "{").status, 400);
  EXPECT_EQ(post("/v1/models/echo:predict", R"({"instances":[[1,2]]})").status, 503);
}

constexpr std::string_view kClasses =
    R"({"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[0.5,2]}],)"
    R"("outputs":[{"name":"y","parameters":{"classification":1}}]})";

TEST_F(HttpCacheTest, AHitWhileTheModelLoadsInEveryProtocol) {
  serve();
  infer();
  post("/v2/models/echo/infer", kClasses);  // of other outputs
  set_state(model::State::kLoading);
  EXPECT_EQ(age(post("/v2/models/echo/infer", kRaw, {{std::string(kBinaryHeader), "0"}})), "0");
  const net::HttpResponse classes = post("/v2/models/echo/infer", kClasses);
  EXPECT_EQ(age(classes), "0");
  EXPECT_THAT(classes.body, HasSubstr("dog"));
  const net::HttpResponse rows = post("/v1/models/echo:predict", R"({"instances":[[0.5,2]]})");
  EXPECT_EQ(age(rows), "0");
  EXPECT_EQ(rows.body, R"({"predictions":[[0.5,2.0]]})");
  const net::HttpResponse results =
      post("/v1/models/echo:classify", R"({"examples":[{"x":[0.5,2]}]})");
  EXPECT_EQ(age(results), "0");
  EXPECT_THAT(results.body, HasSubstr("dog"));
  EXPECT_EQ(post("/v1/models/echo:predict", R"({"instances":[["x"]]})").status, 400);
  EXPECT_EQ(echo_->runs, 2);
}

TEST_F(HttpCacheTest, AModelWhoseFaceIsNotKnownMustComeForWhatNeedsIt) {
  serve();
  infer();
  set_state(model::State::kLoading);
  cache_.announce("1", "changed");
  EXPECT_EQ(post("/v1/models/echo:predict", R"({"instances":[[0.5,2]]})").status, 503);
  EXPECT_EQ(post("/v2/models/echo/infer", kRaw, {{std::string(kBinaryHeader), "0"}}).status, 503);
  EXPECT_EQ(post("/v2/models/echo/infer", kClasses).status, 503);
  EXPECT_EQ(post("/v2/models/echo/infer", kJson).status, 503) << "it is another model";
}

TEST_F(HttpCacheTest, AFailedVersionIsNotTheLatest) {
  serve();
  infer();
  set_state(model::State::kLoading);
  cache_.announce("2", "another digest");
  repository_.set_status({"echo", "2", model::State::kFailed, "broken"});
  const net::HttpResponse kept = infer();
  EXPECT_EQ(age(kept), "0");
  EXPECT_THAT(kept.body, HasSubstr(R"("model_version":"1")"));
  EXPECT_EQ(post("/v2/models/echo/versions/2/infer", kJson).status, 503);
  set_state(model::State::kLoading, "2");
  EXPECT_EQ(infer().status, 503) << "nothing is kept of the version that is meant now";
}

TEST_F(HttpCacheTest, AnUnloadedOrFailedModelIsNotAnsweredFor) {
  serve();
  infer();
  for (const model::State state : {model::State::kUnloaded, model::State::kFailed}) {
    set_state(state);
    EXPECT_EQ(infer().status, 503);
  }
}

// A vector of each text, and how full it is.
class Vectors final : public model::Servable {
 public:
  const std::string& name() const noexcept override { return name_; }
  const std::string& version() const noexcept override { return version_; }
  std::string_view platform() const noexcept override { return "test_vectors"; }
  const engine::Signature& signature() const noexcept override { return signature_; }
  const std::vector<std::string>& labels() const noexcept override { return labels_; }
  bool ready() const noexcept override { return true; }
  model::Statistics statistics() const override { return {}; }
  std::optional<model::Refusal> refusal() const noexcept override {
    return full ? std::optional(model::Refusal{"the queue is full", 17}) : std::nullopt;
  }
  Task<model::InferResponse> infer(model::InferRequest request) override {
    if (full) throw Error(Code::kResourceExhausted, "the queue is full");
    ++runs;
    const std::int64_t rows = get_tensor(request.inputs, "text").shape()[0];
    const std::vector<float> ones(static_cast<std::size_t>(2 * rows), 1);
    model::InferResponse response{request.model, version_, request.id, {}, {}};
    response.outputs.push_back({"vector", Tensor::of<float>({rows, 2}, ones)});
    co_return response;
  }

  bool full = false;
  int runs = 0;

 private:
  const std::string name_ = "embed";
  const std::string version_ = "1";
  const std::vector<std::string> labels_;
  const engine::Signature signature_{{{"text", DType::kBytes, {-1}}},
                                     {{"vector", DType::kFp32, {-1, 2}}}};
};

TEST_F(HttpCacheTest, EmbeddingsAreKeptByTenantAndGivenWhileTheirModelLoads) {
  model::ModelCache& cache = caches_.add("embed", {.ttl = std::chrono::hours(1)});
  cache.announce("1", "digest");
  const auto vectors = std::make_shared<Vectors>();
  repository_.add(std::make_shared<model::CachedModel>(vectors, cache));
  const auto embed = [this](std::vector<std::pair<std::string, std::string>> headers = {}) {
    return post("/v1/embeddings", R"({"model":"embed","input":"bun"})", std::move(headers));
  };
  EXPECT_EQ(age(embed()), "none");
  EXPECT_EQ(age(embed()), "0");
  EXPECT_EQ(age(embed({{"x-tenant", "other"}})), "none");
  EXPECT_EQ(age(embed({{"Cache-Control", "no-cache"}})), "none");
  repository_.forget("embed", "1");
  repository_.set_status({"embed", "1", model::State::kLoading, ""});
  const net::HttpResponse kept = embed();
  EXPECT_EQ(kept.status, 200) << kept.body;
  EXPECT_EQ(age(kept), "0");
  EXPECT_THAT(kept.body, HasSubstr(R"("embedding":[1)"));
  EXPECT_EQ(embed({{"x-tenant", "third"}}).status, 503);
  EXPECT_EQ(vectors->runs, 3);
}

TEST_F(HttpCacheTest, EmbeddingsThatNameNoModelAreGivenWhileTheOnlyOneIsAbsent) {
  model::ModelCache& cache = caches_.add("embed", {.ttl = std::chrono::hours(1)});
  cache.announce("1", "digest");
  const auto vectors = std::make_shared<Vectors>();
  const auto embed = [this](std::string_view text) {
    return post("/v1/embeddings", R"({"input":")" + std::string(text) + R"("})");
  };
  EXPECT_EQ(embed("bun").status, 404) << "nobody knows what makes vectors";
  repository_.set_status({.name = "embed", .version = "1", .embeds = true});
  EXPECT_EQ(embed("bun").status, 503) << "it is known from the start, and would be waited for";
  repository_.add(std::make_shared<model::CachedModel>(vectors, cache));
  EXPECT_EQ(age(embed("bun")), "none");
  for (const bool was_seen : {false, true}) {
    if (!was_seen) repository_.forget("embed", "1");
    repository_.set_status({.name = "embed", .version = "1", .embeds = !was_seen});
    const net::HttpResponse kept = embed("bun");
    EXPECT_EQ(kept.status, 200) << kept.body;
    EXPECT_EQ(age(kept), "0");
    EXPECT_EQ(embed("pan").status, 503);
    repository_.add(std::make_shared<model::CachedModel>(vectors, cache));
    repository_.set_status({.name = "embed", .version = "1", .state = model::State::kDraining});
    repository_.set_status({.name = "embed", .version = "1", .state = model::State::kUnloaded});
  }
  EXPECT_EQ(vectors->runs, 1);
}

TEST_F(HttpCacheTest, AFullQueueBehindTheCacheSaysWhenToComeAgain) {
  model::ModelCache& cache = caches_.add("embed", {.ttl = std::chrono::hours(1)});
  cache.announce("1", "digest");
  const auto vectors = std::make_shared<Vectors>();
  repository_.add(std::make_shared<model::CachedModel>(vectors, cache));
  const auto retry_after = [](const net::HttpResponse& response) -> std::string {
    EXPECT_EQ(response.status, 429) << response.body;
    for (const net::HttpResponseHeader& each : response.headers) {
      if (each.name == "Retry-After") return each.value;
    }
    return "none";
  };
  vectors->full = true;
  const std::vector<std::pair<std::string, std::string>> wishes[] = {
      {}, {{"Cache-Control", "no-cache"}}, {{"Cache-Control", "no-store"}}};
  for (const auto& wish : wishes) {
    EXPECT_EQ(retry_after(post("/v1/models/embed:predict", R"({"instances":["bun"]})", wish)),
              "17");
    EXPECT_EQ(retry_after(post("/v1/embeddings", R"({"model":"embed","input":"bun"})", wish)),
              "17");
  }
}

// Language models, by OpenAI's API.
class OpenAiCacheTest : public ::testing::Test {
 protected:
  OpenAiCacheTest() {
    cache_.announce("1", "digest");
    repository_.add(std::make_shared<llm::CachedLanguage>(bao_, cache_));
  }
  ~OpenAiCacheTest() override { sync_wait(caches_.join()); }

  net::HttpResponse chat(std::string_view fields,
                         std::vector<std::pair<std::string, std::string>> headers = {}) {
    const std::string body =
        std::string(R"({"messages":[{"role":"user","content":"Hi"}],)") + std::string(fields) + "}";
    net::HttpRequest request =
        net::make_request(HttpMethod::kPost, "/v1/chat/completions", std::move(headers), body);
    return sync_wait(read(api_.handle(std::move(request))));
  }
  // The streamed pieces behind the body.
  static Task<net::HttpResponse> read(Task<net::HttpResponse> task) {
    net::HttpResponse response = co_await std::move(task);
    while (response.stream != nullptr) {
      const std::string piece = co_await response.stream->next();
      if (piece.empty()) break;
      response.body += piece;
    }
    co_return response;
  }
  static std::string age(const net::HttpResponse& response) {
    for (const net::HttpResponseHeader& each : response.headers) {
      if (each.name == "Age") return each.value;
    }
    return "none";
  }

  ThreadPool cpu_{1, "cpu"};
  model::Repository repository_;
  model::ResponseCaches caches_{{.bytes_max = 1 << 20}, cpu_};
  model::ModelCache& cache_ = caches_.add("bao", {.ttl = std::chrono::hours(1)});
  std::shared_ptr<FakeLanguage> bao_ = std::make_shared<FakeLanguage>("bao");
  HttpApi api_{repository_,
               {.server_version = "9.9", .hold = {.requests_max = 0}, .caches = &caches_}};
};

TEST_F(OpenAiCacheTest, ARepeatableAnswerIsGivenAgainStreamedOrNot) {
  EXPECT_EQ(age(chat(R"("temperature":0)")), "none");
  sync_wait(caches_.join());
  const net::HttpResponse again = chat(R"("temperature":0)");
  EXPECT_EQ(age(again), "0");
  EXPECT_THAT(again.body, HasSubstr("Steam them."));
  EXPECT_THAT(again.body, HasSubstr(R"("finish_reason":"stop")"));
  EXPECT_THAT(again.body, HasSubstr(R"("completion_tokens":2)"));
  const net::HttpResponse stream = chat(R"("temperature":0,"stream":true)");
  EXPECT_EQ(age(stream), "0");
  EXPECT_THAT(stream.body, HasSubstr("Steam them."));
  EXPECT_THAT(stream.body, HasSubstr("[DONE]"));
  EXPECT_EQ(bao_->requests.size(), 1u);
}

TEST_F(OpenAiCacheTest, AStreamIsKeptToo) {
  chat(R"("temperature":0,"stream":true)");
  sync_wait(caches_.join());
  EXPECT_EQ(age(chat(R"("temperature":0)")), "0");
}

TEST_F(OpenAiCacheTest, ASeedMakesItRepeatable) {
  chat(R"("temperature":1,"seed":7)");
  sync_wait(caches_.join());
  EXPECT_EQ(age(chat(R"("temperature":1,"seed":7)")), "0");
  EXPECT_EQ(age(chat(R"("temperature":1,"seed":8)")), "none");
  EXPECT_EQ(age(chat(R"("temperature":1)")), "none");
  EXPECT_EQ(age(chat(R"("temperature":1)")), "none");
  EXPECT_EQ(bao_->requests.size(), 4u);
}

TEST_F(OpenAiCacheTest, CacheControlAndTenants) {
  chat(R"("temperature":0)");
  sync_wait(caches_.join());
  EXPECT_EQ(age(chat(R"("temperature":0)", {{"Cache-Control", "no-cache"}})), "none");
  EXPECT_EQ(age(chat(R"("temperature":0)", {{"Cache-Control", "no-store"}})), "none");
  EXPECT_EQ(age(chat(R"("temperature":0)", {{"x-tenant", "other"}})), "none");
  EXPECT_EQ(age(chat(R"("temperature":0)")), "0");
  EXPECT_EQ(bao_->requests.size(), 4u);
}

TEST_F(OpenAiCacheTest, AFullQueueIsSaid) {
  bao_->full = true;
  EXPECT_EQ(chat(R"("temperature":0)").status, 429);
  EXPECT_EQ(chat(R"("temperature":0,"stream":true)").status, 429);
}

}  // namespace
}  // namespace baozi::api
