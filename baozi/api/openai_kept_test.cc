#include "baozi/api/openai_kept.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <regex>

#include "baozi/api/http_api.h"
#include "baozi/api/test_language_servable.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/llm/cached_language.h"
#include "baozi/model/cascade.h"
#include "baozi/model/second_tier.h"

namespace baozi::api {
namespace {

using model::CacheKey;
using net::HttpMethod;
using ::testing::HasSubstr;
using ::testing::Not;
using Headers = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kChat = "/v1/chat/completions";
constexpr std::string_view kText = "/v1/completions";
constexpr std::string_view kResponses = "/v1/responses";

// What several processes share.
struct Shelf {
  std::mutex mutex;
  std::map<std::string, Bytes> records;  // guarded by mutex
};

class ShelfTier final : public model::SecondTier {
 public:
  explicit ShelfTier(Shelf& shelf) : shelf_(shelf) {}

  Task<std::optional<Bytes>> get(CacheKey key) override {
    const std::lock_guard lock(shelf_.mutex);
    const auto at = shelf_.records.find(to_string(key));
    if (at == shelf_.records.end()) co_return std::nullopt;
    co_return Bytes::copy_of(at->second.text());
  }
  void put(const CacheKey&, const CacheKey& key, Bytes record,
           std::chrono::milliseconds) noexcept override {
    const std::lock_guard lock(shelf_.mutex);
    shelf_.records[to_string(key)] = std::move(record);
  }
  void used(const CacheKey&, const CacheKey&, std::uint32_t) noexcept override {}
  void remove(const CacheKey&, const CacheKey& key) noexcept override {
    const std::lock_guard lock(shelf_.mutex);
    shelf_.records.erase(to_string(key));
  }
  void pull(const CacheKey&, Sink) noexcept override {}

 private:
  Shelf& shelf_;
};

// A process that serves the language model "bao", which does not wait for it when it is absent.
class Replica {
 public:
  explicit Replica(Shelf* shelf = nullptr)
      : caches_({.bytes_max = 1 << 20}, cpu_,
                shelf != nullptr ? std::make_unique<ShelfTier>(*shelf) : nullptr) {
    cache_.announce("1", "digest");
    set_state(model::State::kAbsent);
  }
  ~Replica() { sync_wait(caches_.join()); }

  void serve() { repository.add(std::make_shared<llm::CachedLanguage>(bao, cache_)); }
  // What has been answered is in the cache from here on.
  void settle() { sync_wait(caches_.join()); }
  void set_state(model::State state) {
    repository.forget("bao", "1");
    repository.set_status({.name = "bao",
                           .version = "1",
                           .state = state,
                           .reason = {},
                           .language = true,
                           .adapters = bao->adapter_names});
  }
  // It goes as a model that is put to sleep.
  void sleep() {
    settle();
    set_state(model::State::kAbsent);
  }

  net::HttpResponse post(std::string_view target, std::string_view body, Headers headers = {}) {
    net::HttpRequest request =
        net::make_request(HttpMethod::kPost, std::string(target), std::move(headers), body);
    return sync_wait(read(api_.handle(std::move(request))));
  }
  std::string get(std::string target) {
    net::HttpRequest request = net::make_request(HttpMethod::kGet, std::move(target));
    return sync_wait(api_.handle(std::move(request))).body;
  }

  model::Repository repository;
  std::shared_ptr<FakeLanguage> bao = std::make_shared<FakeLanguage>("bao");

 private:
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

  ThreadPool cpu_{1, "cpu"};
  model::ResponseCaches caches_;
  model::ModelCache& cache_ = caches_.add("bao", {.ttl = std::chrono::hours(1)});
  HttpApi api_{repository,
               {.server_version = "9.9", .hold = {.requests_max = 0}, .caches = &caches_}};
};

std::string header(const net::HttpResponse& response, std::string_view name) {
  for (const net::HttpResponseHeader& each : response.headers) {
    if (each.name == name) return each.value;
  }
  return "none";
}

// Without what is another one in each answer.
std::string lasting(const net::HttpResponse& response) {
  static const std::regex passing(R"re("(id|item_id)":"[^"]*"|"(created|created_at)":[0-9]+)re");
  return std::regex_replace(response.body, passing, "…");
}

std::string chat(std::string_view fields, std::string_view words = "Hi") {
  std::string body = R"({"messages":[{"role":"user","content":")";
  body += words;
  body += R"("}],)";
  body += fields;
  return body + "}";
}

// Asked while the model is there and again while it is not, a request gets the same answer.
void expect_kept(Replica& replica, std::string_view target, const std::string& body) {
  replica.serve();
  const net::HttpResponse first = replica.post(target, body);
  EXPECT_EQ(first.status, 200) << first.body;
  EXPECT_EQ(header(first, "Age"), "none") << body;
  const std::size_t runs = replica.bao->requests.size();
  replica.sleep();
  const net::HttpResponse kept = replica.post(target, body);
  EXPECT_EQ(kept.status, 200) << kept.body;
  EXPECT_EQ(header(kept, "Age"), "0");
  EXPECT_EQ(lasting(kept), lasting(first));
  EXPECT_EQ(replica.bao->requests.size(), runs);
  EXPECT_EQ(replica.repository.peek("bao", ""), nullptr);
}

TEST(OpenAiKept, ARepeatableAnswerIsGivenWhileItsModelIsAbsent) {
  Replica replica;
  replica.serve();
  const net::HttpResponse first = replica.post(kChat, chat(R"("temperature":0)"));
  replica.settle();
  for (const model::State state :
       {model::State::kAbsent, model::State::kLoading, model::State::kWarming}) {
    replica.set_state(state);
    const net::HttpResponse kept = replica.post(kChat, chat(R"("temperature":0)"));
    EXPECT_EQ(kept.status, 200) << kept.body;
    EXPECT_EQ(header(kept, "Age"), "0");
    EXPECT_EQ(lasting(kept), lasting(first));
    const net::HttpResponse stream =
        replica.post(kChat, chat(R"("temperature":0,"stream":true,"model":"bao")"));
    EXPECT_EQ(header(stream, "Age"), "0");
    EXPECT_THAT(stream.body, HasSubstr("Steam them."));
    EXPECT_THAT(stream.body, HasSubstr("[DONE]"));
  }
  EXPECT_EQ(replica.bao->requests.size(), 1u);
  EXPECT_THAT(replica.get("/metrics"),
              HasSubstr(R"(baozi_cache_requests_total{model="bao",result="hit"})"));
}

TEST(OpenAiKept, AnUnloadedOrFailedModelIsNotAnsweredFor) {
  Replica replica;
  replica.serve();
  replica.post(kChat, chat(R"("temperature":0)"));
  replica.settle();
  for (const model::State state : {model::State::kUnloaded, model::State::kFailed}) {
    replica.set_state(state);
    EXPECT_EQ(replica.post(kChat, chat(R"("temperature":0)")).status, 503);
  }
}

TEST(OpenAiKept, WhatIsNotKeptWaitsForTheModel) {
  Replica replica;
  replica.serve();
  replica.post(kChat, chat(R"("temperature":0)"));
  replica.sleep();
  const auto status = [&](const std::string& body, Headers headers = {}) {
    return replica.post(kChat, body, std::move(headers)).status;
  };
  EXPECT_EQ(status(chat(R"("temperature":0)", "Ho")), 503);
  EXPECT_EQ(status(chat(R"("temperature":0,"max_tokens":1)")), 503);
  EXPECT_EQ(status(chat(R"("temperature":0,"n":2)")), 503);
  EXPECT_EQ(status(chat(R"("temperature":0,"logprobs":true)")), 503);
  EXPECT_EQ(status(chat(R"("temperature":0,"chat_template_kwargs":{"a":1})")), 503);
  EXPECT_EQ(status(chat(R"("temperature":1)")), 503) << "it is another one each time";
  EXPECT_EQ(status(chat(R"("temperature":0)"), {{"x-tenant", "other"}}), 503);
  EXPECT_EQ(status(chat(R"("temperature":0)"), {{"Cache-Control", "no-cache"}}), 503);
  EXPECT_EQ(status(chat(R"("temperature":9)")), 400);
  EXPECT_EQ(status(chat(R"("temperature":0)")), 200);
  EXPECT_EQ(replica.post(kText, R"({"prompt":"Hi","temperature":0})").status, 503);
}

TEST(OpenAiKept, SpacesDoNotMatterNorWhoAsksNorWhichEndpoint) {
  Replica replica;
  replica.serve();
  replica.post(kChat, chat(R"("temperature":0,"stream":true)"));
  replica.sleep();
  const net::HttpResponse spaced = replica.post(
      kChat, R"({ "messages": [ {"role": "user", "content":"Hi"} ], "temperature":0, "user":"x"})");
  EXPECT_EQ(header(spaced, "Age"), "0") << spaced.body;
  const net::HttpResponse response =
      replica.post(kResponses, R"({"input":"Hi","temperature":0,"instructions":""})");
  EXPECT_EQ(header(response, "Age"), "0") << response.body;
  EXPECT_THAT(response.body, HasSubstr(R"("text":"Steam them.")"));
}

TEST(OpenAiKept, ASeedMakesItRepeatable) {
  Replica replica;
  replica.bao->numbered = true;
  expect_kept(replica, kChat, chat(R"("temperature":1,"seed":7,"n":3)"));
  EXPECT_EQ(replica.post(kChat, chat(R"("temperature":1,"seed":8,"n":3)")).status, 503);
}

TEST(OpenAiKept, CompletionsWithAllTheirParts) {
  Replica replica;
  expect_kept(replica, kText, R"({"prompt":["a","b"],"temperature":0,"n":2})");
  expect_kept(replica, kText, R"({"prompt":"a","temperature":0,"logprobs":2,"stop":["them"]})");
  expect_kept(replica, kText, R"({"prompt":["x",""],"temperature":0,"echo":true})");
  expect_kept(replica, kText, R"({"prompt":[[98,97],[111]],"temperature":0,"echo":true})");
  expect_kept(replica, kText, R"({"prompt":"a","temperature":0,"json_schema":{"type":"object"}})");
  EXPECT_THAT(replica.post(kText, R"({"prompt":[[98,97],[111]],"temperature":0,"echo":true})").body,
              HasSubstr(R"("text":"oSteam them.")"));
}

TEST(OpenAiKept, LogProbabilitiesOfAConversation) {
  Replica replica;
  expect_kept(replica, kChat, chat(R"("temperature":0,"logprobs":true,"top_logprobs":3)"));
}

TEST(OpenAiKept, Responses) {
  Replica replica;
  expect_kept(replica, kResponses, R"({"input":"Hi","temperature":0,"instructions":"Be brief."})");
  const net::HttpResponse stream = replica.post(
      kResponses, R"({"input":"Hi","temperature":0,"instructions":"Be brief.","stream":true})");
  EXPECT_EQ(header(stream, "Age"), "0") << stream.body;
  EXPECT_THAT(stream.body, HasSubstr("event: response.completed"));
}

constexpr std::string_view kTools =
    R"("tools":[{"type":"function","function":{"name":"weather"}}],"temperature":0)";

TEST(OpenAiKept, ToolCallsAreReadWithoutTheModel) {
  Replica replica;
  replica.bao->answer = R"(call weather {"city":"Xi'an"})";
  expect_kept(replica, kChat, chat(kTools));
  const net::HttpResponse kept = replica.post(kChat, chat(kTools));
  EXPECT_THAT(kept.body, HasSubstr(R"("name":"weather","arguments":"{\"city\":\"Xi'an\"}")"));
  EXPECT_THAT(kept.body, HasSubstr(R"("finish_reason":"tool_calls")"));
  const net::HttpResponse stream =
      replica.post(kChat, chat(std::string(kTools) + R"(,"stream":true)"));
  EXPECT_THAT(stream.body, HasSubstr(R"("name":"weather")"));
}

// A request with other words but the same prompt has put another answer in its place.
TEST(OpenAiKept, AnAnswerThatWasNotTheOneNotedIsAMiss) {
  Replica replica;
  replica.serve();
  const std::string other =
      chat(std::string(kTools) + R"(,"chat_template_kwargs":{"formal":true})");
  replica.bao->answer = "call weather {}";
  replica.post(kChat, chat(kTools));
  replica.settle();
  replica.bao->answer = "call weather {1}";
  replica.post(kChat, other, {{"Cache-Control", "no-cache"}});
  replica.sleep();
  EXPECT_EQ(replica.post(kChat, chat(kTools)).status, 503);
  EXPECT_THAT(replica.post(kChat, other).body, HasSubstr(R"("arguments":"{1}")"));
}

TEST(OpenAiKept, ATemplateThatReadsTheClockIsAskedEachTime) {
  Replica replica;
  replica.bao->model.set_template("{{ strftime_now('%d %b') }}{{ messages }}");
  replica.serve();
  replica.post(kChat, chat(R"("temperature":0)"));
  replica.post(kText, R"({"prompt":"a","temperature":0})");
  replica.sleep();
  EXPECT_EQ(replica.post(kChat, chat(R"("temperature":0)")).status, 503);
  EXPECT_EQ(replica.post(kText, R"({"prompt":"a","temperature":0})").status, 200)
      << "no template is used";
}

TEST(OpenAiKept, AnAdapterIsKnownByItsNameWhileItsModelIsAbsent) {
  Replica replica;
  replica.bao->adapter_names = {"polite", "rude"};
  replica.set_state(model::State::kAbsent);
  expect_kept(replica, kChat, chat(R"("temperature":0,"model":"rude")"));
  EXPECT_EQ(replica.bao->requests.back().adapter, 2);
  const net::HttpResponse kept = replica.post(kChat, chat(R"("temperature":0,"model":"rude")"));
  EXPECT_THAT(kept.body, HasSubstr(R"("model":"rude")"));
  EXPECT_EQ(replica.post(kChat, chat(R"("temperature":0,"model":"polite")")).status, 503)
      << "it is waited for";
  EXPECT_EQ(replica.post(kChat, chat(R"("temperature":0,"model":"bao")")).status, 503);
  EXPECT_EQ(replica.post(kChat, chat(R"("temperature":0,"model":"odd")")).status, 404);
  EXPECT_THAT(replica.get("/v1/models"), HasSubstr(R"("id":"polite")"));
  EXPECT_THAT(replica.get("/v1/models/rude"), HasSubstr(R"("status":{"value":"loading"})"));
}

TEST(OpenAiKept, ANewReplicaHasItFromTheSecondTier) {
  Shelf shelf;
  const std::string calls = chat(std::string(kTools) + R"(,"logprobs":true)");
  std::string first;
  {
    Replica replica(&shelf);
    replica.bao->answer = "call weather {}";
    replica.serve();
    first = replica.post(kChat, calls).body;
    replica.settle();
  }
  EXPECT_EQ(shelf.records.size(), 2u) << "the answer, and what was noted";
  {
    Replica replica(&shelf);
    const net::HttpResponse kept = replica.post(kChat, calls);
    EXPECT_EQ(header(kept, "Age"), "0") << kept.body;
    EXPECT_THAT(kept.body, HasSubstr(R"("name":"weather")"));
    EXPECT_TRUE(replica.bao->requests.empty());
  }
  for (auto& [key, record] : shelf.records) {
    std::string damaged(record.text());
    damaged.back() = static_cast<char>(damaged.back() ^ 1);
    record = Bytes::copy_of(damaged);
  }
  Replica replica(&shelf);
  EXPECT_EQ(replica.post(kChat, calls).status, 503);
}

TEST(OpenAiKept, ACascadeIsNotAnsweredFor) {
  Replica replica;
  replica.serve();
  replica.repository.set_status({.name = "bun", .version = "1", .language = true});
  replica.repository.add(std::make_shared<model::Cascade>(
      model::CascadeOptions{.name = "both", .small = "bao", .large = "bun"}, replica.repository));
  const std::string to_both = chat(R"("temperature":0,"model":"both")");
  EXPECT_EQ(replica.post(kChat, to_both).status, 200);
  replica.sleep();
  EXPECT_EQ(replica.post(kChat, to_both).status, 503);
  EXPECT_EQ(replica.post(kChat, chat(R"("temperature":0,"model":"bao")")).status, 200);
}

TEST(OpenAiKept, WhoCannotWaitIsToldWhenTheModelIsThoughtToBeThere) {
  Replica replica;
  replica.serve();
  replica.post(kChat, chat(R"("temperature":0)"));
  replica.sleep();
  replica.repository.set_estimate("bao", "1", Clock::now() + std::chrono::seconds(500));
  for (const char* stream : {"", R"(,"stream":true)"}) {
    const net::HttpResponse refused =
        replica.post(kChat, chat(std::string(R"("temperature":0)") + stream, "Ho"));
    EXPECT_EQ(refused.status, 503);
    EXPECT_EQ(refused.stream, nullptr);
    EXPECT_GT(std::stoi(header(refused, "Retry-After")), 300);
    EXPECT_LE(std::stoi(header(refused, "Retry-After")), 500);
    EXPECT_THAT(refused.body, HasSubstr(R"("error":{"message":"model 'bao' version 1 is not)"));
    EXPECT_THAT(refused.body, HasSubstr(R"("type":"unavailable_error","param":null,"code":null)"));
    EXPECT_EQ(header(refused, "Age"), "none");
  }
  EXPECT_EQ(replica.post(kChat, chat(R"("temperature":0)")).status, 200) << "what is kept is given";
  replica.set_state(model::State::kFailed);
  EXPECT_EQ(header(replica.post(kChat, chat(R"("temperature":0)")), "Retry-After"), "none")
      << "waiting mends nothing";
}

}  // namespace
}  // namespace baozi::api
