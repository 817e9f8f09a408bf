#include "baozi/api/openai_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "baozi/api/http_api.h"
#include "baozi/api/request_headers.h"
#include "baozi/api/test_language_servable.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/thread_pool.h"

namespace baozi::api {
namespace {

using net::HttpMethod;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

using Headers = std::vector<std::pair<std::string, std::string>>;

// Without what differs from call to call.
std::string masked(std::string text) {
  text = std::regex_replace(text, std::regex("(chatcmpl-|cmpl-|resp_|msg_|call_)[A-Za-z0-9]{32}"),
                            "$1ID");
  return std::regex_replace(text, std::regex("\"(created|created_at)\":[0-9]{10}"), "\"$1\":0");
}

class OpenAiApiTest : public ::testing::Test {
 protected:
  OpenAiApiTest() { repository_.add(bao_); }

  net::HttpResponse call(HttpMethod method, std::string target, std::string_view body = {},
                         Headers headers = {}) {
    net::HttpRequest request =
        net::make_request(method, std::move(target), std::move(headers), body);
    request.peer = "10.0.0.7:4711";
    return sync_wait(api_.handle(std::move(request)));
  }
  net::HttpResponse post(std::string target, std::string_view body, Headers headers = {}) {
    return call(HttpMethod::kPost, std::move(target), body, std::move(headers));
  }
  std::string answer(std::string target, std::string_view body) {
    return masked(post(std::move(target), body).body);
  }
  // The pieces of a streamed answer, as one text.
  static std::string drain(net::HttpResponse& response) {
    EXPECT_NE(response.stream, nullptr) << response.body;
    std::string text = std::move(response.body);
    while (response.stream != nullptr) {
      const std::string piece = sync_wait(response.stream->next());
      if (piece.empty()) break;
      text += piece;
    }
    return masked(text);
  }
  std::string stream(std::string target, std::string_view body) {
    net::HttpResponse response = post(std::move(target), body);
    EXPECT_EQ(response.content_type, "text/event-stream");
    return drain(response);
  }
  const llm::CompletionRequest& asked() const { return bao_->requests.back(); }

  std::shared_ptr<FakeLanguage> bao_ = std::make_shared<FakeLanguage>("bao");
  model::Repository repository_;
  // Nobody waits here for a model.
  HttpApi api_{repository_, {.server_version = "9.9", .hold = {.requests_max = 0}}};
};

constexpr std::string_view kChat = "/v1/chat/completions";
constexpr std::string_view kText = "/v1/completions";
constexpr std::string_view kHi = R"({"model":"bao","messages":[{"role":"user","content":"Hi"}]})";

std::string with(std::string_view body, std::string_view fields) {
  return std::string(body.substr(0, body.size() - 1)) + "," + std::string(fields) + "}";
}

TEST_F(OpenAiApiTest, AnswersAChat) {
  EXPECT_EQ(
      answer(std::string(kChat), kHi),
      R"({"id":"chatcmpl-ID","object":"chat.completion","created":0,"model":"bao",)"
      R"("choices":[{"index":0,"message":{"role":"assistant","content":"Steam them."},)"
      R"("logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":32,)"
      R"("completion_tokens":2,"total_tokens":34,"prompt_tokens_details":{"cached_tokens":1}}})");
  EXPECT_EQ(asked().client, "10.0.0.7");
}

TEST_F(OpenAiApiTest, StreamsAChat) {
  const std::string head =
      R"(data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"bao",)";
  EXPECT_EQ(
      stream(std::string(kChat),
             with(kHi, R"("stream":true,"stream_options":{"include_usage":true})")),
      head +
          R"("choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,)"
          R"("finish_reason":null}],"usage":null})"
          "\n\n" +
          head +
          R"("choices":[{"index":0,"delta":{"content":"Steam"},"logprobs":null,)"
          R"("finish_reason":null}],"usage":null})"
          "\n\n" +
          head +
          R"("choices":[{"index":0,"delta":{"content":" them."},"logprobs":null,)"
          R"("finish_reason":null}],"usage":null})"
          "\n\n" +
          head +
          R"("choices":[{"index":0,"delta":{},"logprobs":null,)"
          R"("finish_reason":"stop"}],"usage":null})"
          "\n\n" +
          head +
          R"("choices":[],"usage":{"prompt_tokens":32,"completion_tokens":2,"total_tokens":34,)"
          R"("prompt_tokens_details":{"cached_tokens":1}}})"
          "\n\ndata: [DONE]\n\n");
}

TEST_F(OpenAiApiTest, SaysWhyAnAnswerEnded) {
  EXPECT_THAT(answer(std::string(kChat), with(kHi, R"("max_tokens":1)")),
              HasSubstr(R"("content":"Steam"},"logprobs":null,"finish_reason":"length")"));
  EXPECT_THAT(answer(std::string(kChat), with(kHi, R"("stop":["th"])")),
              HasSubstr(R"("content":"Steam "},"logprobs":null,"finish_reason":"stop")"));
}

TEST_F(OpenAiApiTest, GivesSeveralChoicesTheirOwnSeeds) {
  bao_->numbered = true;
  const std::string body = answer(std::string(kChat), with(kHi, R"("n":3,"seed":7)"));
  for (const char* each : {R"("index":0,"message":{"role":"assistant","content":"Steam them. 0"})",
                           R"("index":1,"message":{"role":"assistant","content":"Steam them. 1"})",
                           R"("index":2,"message":{"role":"assistant","content":"Steam them. 2"})",
                           R"("prompt_tokens":32,"completion_tokens":9)"})
    EXPECT_THAT(body, HasSubstr(each));
  ASSERT_EQ(bao_->requests.size(), 3u);
  EXPECT_EQ(bao_->requests[0].sampling.seed, 7u);
  EXPECT_EQ(bao_->requests[2].sampling.seed, 9u);
}

TEST_F(OpenAiApiTest, StreamsSeveralChoicesEachAtItsPace) {
  bao_->numbered = true;
  bao_->delay = milliseconds(3);
  const std::string events = stream(std::string(kText), R"({"prompt":"Bao","n":3,"stream":true})");
  std::array<std::string, 3> texts;
  const std::regex event(R"re("index":(\d),"text":"([^"]*)")re");
  for (std::sregex_iterator at(events.begin(), events.end(), event), end; at != end; ++at)
    texts[static_cast<std::size_t>((*at)[1].str()[0] - '0')] += (*at)[2].str();
  EXPECT_THAT(texts, ElementsAre("Steam them. 0", "Steam them. 1", "Steam them. 2"));
  EXPECT_TRUE(events.ends_with("data: [DONE]\n\n"));
}

TEST_F(OpenAiApiTest, AnswersACompletionOfSeveralPrompts) {
  const std::string body =
      answer(std::string(kText), R"({"model":"bao","prompt":["Bao","Dim sum"],"echo":true})");
  EXPECT_THAT(body, HasSubstr(R"({"id":"cmpl-ID","object":"text_completion","created":0,)"
                              R"("model":"bao","choices":[{"index":0,"text":"BaoSteam them.",)"
                              R"("logprobs":null,"finish_reason":"stop"},{"index":1,)"
                              R"("text":"Dim sumSteam them.",)"));
  EXPECT_THAT(body, HasSubstr(R"("prompt_tokens":10,"completion_tokens":4)"));
}

TEST_F(OpenAiApiTest, TakesPromptsOfTokens) {
  EXPECT_THAT(answer(std::string(kText), R"({"prompt":[66,97,111],"echo":true})"),
              HasSubstr(R"("text":"BaoSteam them.")"));
  EXPECT_THAT(asked().prompt, ElementsAre(66, 97, 111));
  EXPECT_THAT(answer(std::string(kText), R"({"prompt":[[66],[97,111]]})"),
              HasSubstr(R"("prompt_tokens":3)"));
  EXPECT_THAT(answer(std::string(kText), R"({"prompt":[257]})"),
              HasSubstr("model 'bao' has no token 257"));
}

TEST_F(OpenAiApiTest, GivesLogProbabilities) {
  EXPECT_THAT(
      answer(std::string(kChat), with(kHi, R"("max_tokens":1,"logprobs":true,"top_logprobs":2)")),
      HasSubstr(R"("logprobs":{"content":[{"token":"m","logprob":-0.5,"bytes":[109],)"
                R"("top_logprobs":[{"token":"m","logprob":-0.5,"bytes":[109]},)"
                R"({"token":"n","logprob":-1.5,"bytes":[110]}]}],"refusal":null})"));
  EXPECT_THAT(answer(std::string(kText), R"({"prompt":"Bao","logprobs":1})"),
              HasSubstr(R"("logprobs":{"tokens":["m","."],"token_logprobs":[-0.5,-0.5],)"
                        R"("top_logprobs":[{"m":-0.5},{".":-0.5}],"text_offset":[0,1]})"));
  EXPECT_THAT(stream(std::string(kChat), with(kHi, R"("stream":true,"logprobs":true)")),
              HasSubstr(R"("delta":{"content":"Steam"},"logprobs":{"content":[{"token":"m")"));
}

TEST_F(OpenAiApiTest, GivesToolCalls) {
  bao_->answer = R"(call weather {"city": "Xi'an", "days": 2})";
  const std::string body =
      with(kHi, R"("tools":[{"type":"function","function":{"name":"weather"}}])");
  EXPECT_THAT(answer(std::string(kChat), body),
              HasSubstr(R"("message":{"role":"assistant","content":null,"tool_calls":[{)"
                        R"("id":"call_ID","type":"function","function":{"name":"weather",)"
                        R"("arguments":"{\"city\": \"Xi'an\", \"days\": 2}"}}]},)"
                        R"("logprobs":null,"finish_reason":"tool_calls"})"));
  const std::string events = stream(std::string(kChat), with(body, R"("stream":true)"));
  EXPECT_THAT(events, HasSubstr(R"("delta":{"tool_calls":[{"index":0,"id":"call_ID",)"
                                R"("type":"function","function":{"name":"weather",)"
                                R"("arguments":"{\"city\":"}}]})"));
  EXPECT_THAT(events, HasSubstr(R"("delta":{"tool_calls":[{"index":0,"function":{)"
                                R"("arguments":" \"Xi'an\","}}]})"));
  EXPECT_THAT(events, HasSubstr(R"("delta":{},"logprobs":null,"finish_reason":"tool_calls")"));
}

TEST_F(OpenAiApiTest, ChoosesTools) {
  const std::string body = with(kHi, R"("tools":[{"type":"function","function":{"name":"a"}},)"
                                     R"({"type":"function","function":{"name":"b"}}])");
  EXPECT_EQ(post(std::string(kChat), with(body, R"("tool_choice":{"type":"function","function":)"
                                                R"({"name":"b"}},"parallel_tool_calls":false)"))
                .status,
            200);
  const engine::ChatInput& input = bao_->model.inputs.back();
  EXPECT_EQ(input.tools, R"([{"type":"function","function":{"name":"b"}}])");
  EXPECT_EQ(input.tool_choice, engine::ToolChoice::kRequired);
  EXPECT_FALSE(input.parallel_tool_calls);
  EXPECT_THAT(answer(std::string(kChat), with(body, R"("tool_choice":{"function":{"name":"c"}})")),
              HasSubstr("'tool_choice' names 'c', which is not among the 'tools'"));
}

TEST_F(OpenAiApiTest, HoldsAnswersToASchema) {
  const std::string format = R"("response_format":{"type":"json_schema","json_schema":)"
                             R"({"name":"x","schema":{"type":"integer"}}})";
  post(std::string(kChat), with(kHi, format));
  EXPECT_EQ(bao_->model.inputs.back().schema, R"({"type":"integer"})");
  EXPECT_EQ(asked().sampling.grammar, "root ::= object");
  post(std::string(kChat), with(kHi, R"("response_format":{"type":"json_object"})"));
  EXPECT_EQ(bao_->model.inputs.back().schema, R"({"type":"object"})");
  post(std::string(kText), R"({"prompt":"x","json_schema":{"type":"integer"}})");
  EXPECT_EQ(asked().sampling.grammar, "root ::= schema");
  post(std::string(kText), R"({"prompt":"x","grammar":"root ::= \"a\""})");
  EXPECT_EQ(asked().sampling.grammar, "root ::= \"a\"");
}

TEST_F(OpenAiApiTest, AnswersResponses) {
  const std::string body =
      answer("/v1/responses", R"({"model":"bao","instructions":"Be brief.","input":"Hi"})");
  EXPECT_EQ(bao_->model.inputs.back().messages,
            R"([{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}])");
  EXPECT_THAT(body, testing::StartsWith(
                        R"({"id":"resp_ID","object":"response","created_at":0,)"
                        R"("status":"completed","error":null,"incomplete_details":null,)"
                        R"("instructions":"Be brief.","max_output_tokens":null,"model":"bao",)"
                        R"("output":[{"type":"message","id":"msg_ID","status":"completed",)"
                        R"("role":"assistant","content":[{"type":"output_text",)"
                        R"("text":"Steam them.","annotations":[],"logprobs":[]}]}],)"));
  EXPECT_THAT(body, HasSubstr(R"("usage":{"input_tokens":72,)"
                              R"("input_tokens_details":{"cached_tokens":1},"output_tokens":2,)"));
  post("/v1/responses",
       R"({"input":[{"role":"developer","content":"a"},)"
       R"({"type":"message","role":"user","content":[{"type":"input_text","text":"b"}]}]})");
  EXPECT_EQ(bao_->model.inputs.back().messages,
            R"([{"role":"system","content":"a"},{"role":"user","content":"b"}])");
}

TEST_F(OpenAiApiTest, StreamsResponsesAsTypedEvents) {
  const std::string events =
      stream("/v1/responses", R"({"input":"Hi","stream":true,"max_output_tokens":1})");
  std::vector<std::string> types;
  const std::regex event(
      "event: ([a-z_.]+)\ndata: \\{\"type\":\"([a-z_.]+)\",\"sequence_number\":(\\d+),");
  for (std::sregex_iterator at(events.begin(), events.end(), event), end; at != end; ++at) {
    EXPECT_EQ((*at)[1], (*at)[2]);
    EXPECT_EQ((*at)[3], std::to_string(types.size()));
    types.push_back((*at)[1]);
  }
  EXPECT_THAT(types,
              ElementsAre("response.created", "response.in_progress", "response.output_item.added",
                          "response.content_part.added", "response.output_text.delta",
                          "response.output_text.done", "response.content_part.done",
                          "response.output_item.done", "response.incomplete"));
  EXPECT_THAT(events, HasSubstr(R"("item_id":"msg_ID","output_index":0,"content_index":0,)"
                                R"("logprobs":[],"delta":"Steam"})"));
  EXPECT_THAT(events, HasSubstr(R"("incomplete_details":{"reason":"max_output_tokens"})"));
  EXPECT_THAT(events, Not(HasSubstr("[DONE]")));
}

TEST_F(OpenAiApiTest, AnAdapterIsAskedByItsName) {
  bao_->adapter_names = {"pirate", "poet"};
  const std::string answered =
      answer(std::string(kChat), R"({"model":"poet",)" + std::string(kHi.substr(15)));
  EXPECT_EQ(asked().adapter, 2);
  EXPECT_THAT(answered, HasSubstr(R"("model":"poet")"));
  answer(std::string(kChat), kHi);
  EXPECT_EQ(asked().adapter, 0);
  const std::string poet =
      R"({"id":"poet","object":"model","created":0,"owned_by":"baozi","parent":"bao",)"
      R"("status":{"value":"loaded"}})";
  EXPECT_THAT(masked(call(HttpMethod::kGet, "/v1/models").body), HasSubstr("," + poet + "]"));
  EXPECT_EQ(masked(call(HttpMethod::kGet, "/v1/models/poet").body), poet);
  EXPECT_EQ(post(std::string(kChat), R"({"model":"thief","messages":[]})").status, 404);
}

TEST_F(OpenAiApiTest, ListsLanguageModelsWithTheirState) {
  repository_.set_status({"slow", "1", model::State::kLoading, "", true});
  repository_.set_status({"bad", "1", model::State::kFailed, "no such file", true});
  repository_.set_status({"resnet", "1", model::State::kLoading, "", false});
  const std::string body = masked(call(HttpMethod::kGet, "/v1/models").body);
  EXPECT_EQ(body,
            R"({"object":"list","data":[)"
            R"({"id":"bad","object":"model","created":0,"owned_by":"baozi",)"
            R"("status":{"value":"failed","reason":"no such file"}},)"
            R"({"id":"bao","object":"model","created":0,"owned_by":"baozi",)"
            R"("status":{"value":"loaded"},"meta":{"n_ctx_train":64,"n_vocab":257,"n_embd":8,)"
            R"("n_params":1000,"size":4000}},)"
            R"({"id":"slow","object":"model","created":0,"owned_by":"baozi",)"
            R"("status":{"value":"loading"}}]})");
  EXPECT_THAT(call(HttpMethod::kGet, "/v1/models/bao").body, HasSubstr(R"("id":"bao","object")"));
  EXPECT_THAT(call(HttpMethod::kGet, "/v1/models/resnet").body, HasSubstr("model_version_status"));
  const net::HttpResponse loading =
      post(std::string(kChat), R"({"model":"slow","messages":[{"role":"user","content":"Hi"}]})");
  EXPECT_EQ(loading.status, 503);
  EXPECT_THAT(loading.body, HasSubstr(R"("type":"unavailable_error")"));
}

TEST_F(OpenAiApiTest, CountsTokens) {
  EXPECT_EQ(post("/tokenize", R"({"content":"Hi"})").body, R"({"tokens":[72,105]})");
  EXPECT_EQ(post("/tokenize", R"({"model":"bao","content":"é","with_pieces":true})").body,
            R"({"tokens":[{"id":195,"piece":[195]},{"id":169,"piece":[169]}]})");
  EXPECT_EQ(post("/detokenize", R"({"tokens":[72,105]})").body, R"({"content":"Hi"})");
  EXPECT_EQ(post("/detokenize", R"({"tokens":[300]})").status, 400);
}

TEST_F(OpenAiApiTest, FindsTheOnlyModelWithoutItsName) {
  EXPECT_EQ(post(std::string(kText), R"({"prompt":"x"})").status, 200);
  repository_.add(std::make_shared<FakeLanguage>("mantou"));
  EXPECT_THAT(post(std::string(kText), R"({"prompt":"x"})").body,
              HasSubstr("the request has no 'model'; there are: bao, mantou"));
}

TEST_F(OpenAiApiTest, GivesErrorsTheProtocolsShapeAndStatus) {
  const net::HttpResponse wrong = post(std::string(kChat), with(kHi, R"("temperature":5)"));
  EXPECT_EQ(wrong.status, 400);
  EXPECT_EQ(wrong.body, R"({"error":{"message":"'temperature' must be from 0 to 2, it is 5",)"
                        R"("type":"invalid_request_error","param":"temperature","code":null}})");
  const net::HttpResponse unknown = post(std::string(kText), R"({"model":"x","prompt":"a"})");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_THAT(unknown.body, HasSubstr(R"("param":"model","code":"model_not_found")"));
  const net::HttpResponse large =
      post(std::string(kText), R"({"prompt":")" + std::string(1000, 'x') + R"("})");
  EXPECT_EQ(large.status, 400);
  EXPECT_THAT(large.body, HasSubstr(R"("param":"prompt","code":"context_length_exceeded")"));
  EXPECT_EQ(post(std::string(kText),
                 R"({"overflow":"truncate","prompt":")" + std::string(1000, 'x') + R"("})")
                .status,
            200);
  EXPECT_EQ(post(std::string(kText), "{\"prompt\":\"\xff\"}").status, 400);
  EXPECT_EQ(call(HttpMethod::kGet, std::string(kChat)).status, 405);
}

TEST_F(OpenAiApiTest, SaysWhenTheQueueIsFull) {
  bao_->full = true;
  const net::HttpResponse full = post(std::string(kChat), with(kHi, R"("stream":true)"));
  EXPECT_EQ(full.status, 429);
  EXPECT_EQ(full.stream, nullptr);
  EXPECT_THAT(full.body, HasSubstr(R"("type":"rate_limit_error")"));
  EXPECT_EQ(full.headers.front().name, "Retry-After");
}

TEST_F(OpenAiApiTest, EndsAStreamWithTheErrorThatCameLate) {
  bao_->error = Error(Code::kUnavailable, "the model is being unloaded");
  const std::string events = stream(std::string(kChat), with(kHi, R"("stream":true)"));
  EXPECT_THAT(events, HasSubstr(R"("delta":{"content":"Steam"})"));
  EXPECT_TRUE(events.ends_with(
      R"(data: {"error":{"message":"the model is being unloaded","type":"unavailable_error",)"
      R"("param":null,"code":null}})"
      "\n\ndata: [DONE]\n\n"))
      << events;
}

TEST_F(OpenAiApiTest, EndsAtTheDeadline) {
  bao_->delay = milliseconds(500);
  const Headers headers = {{std::string(kTimeoutHeader), "20"}};
  EXPECT_EQ(post(std::string(kChat), kHi, headers).status, 504);
  EXPECT_EQ(post(std::string(kChat), with(kHi, R"("stream":true)"), headers).status, 504);
}

TEST_F(OpenAiApiTest, KnowsWhoAsks) {
  post(std::string(kChat), with(kHi, R"("user":"anna")"));
  EXPECT_EQ(asked().client, "anna");
  post(std::string(kChat), kHi, {{"x-api-key", "secret"}});
  EXPECT_THAT(asked().client, testing::StartsWith("key "));
  EXPECT_THAT(asked().client, Not(HasSubstr("secret")));
}

TEST_F(OpenAiApiTest, MovesToTheCpuPoolAndBack) {
  ThreadPool pool(1);
  HttpApi api(repository_, {.server_version = "1", .cpu = &pool});
  for (const char* more : {"\"n\":1", "\"stream\":true"}) {
    net::HttpRequest request =
        net::make_request(HttpMethod::kPost, std::string(kChat), {}, with(kHi, more));
    net::HttpResponse response = sync_wait(api.handle(std::move(request)));
    EXPECT_EQ(response.status, 200);
    if (response.stream != nullptr) {
      EXPECT_THAT(drain(response), HasSubstr("[DONE]"));
    }
  }
}

TEST_F(OpenAiApiTest, CountsRequestsTokensAndLoad) {
  post(std::string(kChat), kHi);
  stream(std::string(kChat), with(kHi, R"("stream":true)"));
  {
    const net::HttpResponse dropped = post(std::string(kChat), with(kHi, R"("stream":true)"));
    EXPECT_NE(dropped.stream, nullptr);  // whose client goes away
  }
  const std::string text = call(HttpMethod::kGet, "/metrics").body;
  for (const char* line : {
           R"(baozi_requests_total{code="OK",model="bao",protocol="openai"})",
           R"(baozi_requests_total{code="CANCELLED",model="bao",protocol="openai"})",
           R"(baozi_time_to_first_token_seconds_count{model="bao"})",
           R"(baozi_time_per_output_token_seconds_count{model="bao"})",
           R"(baozi_llm_completion_tokens_total{model="bao"})",
           R"(vllm:num_requests_waiting{model_name="bao"} 2)",
           R"(vllm:num_requests_running{model_name="bao"} 3)",
           R"(vllm:kv_cache_usage_perc{model_name="bao"} 0.5)",
           R"(vllm:cache_config_info{model_name="bao",block_size="1",num_gpu_blocks="60"} 1)",
           R"(baozi_llm_kv_tokens{model_name="bao"} 50)",
           R"(vllm:spec_decode_num_draft_tokens_total{model_name="bao"} 9)",
           R"(vllm:spec_decode_num_accepted_tokens_total{model_name="bao"} 7)",
           "baozi_requests_in_flight 0",
       })
    EXPECT_THAT(text, HasSubstr(line));
}

TEST_F(OpenAiApiTest, RefusesTensorsForALanguageModel) {
  const net::HttpResponse response =
      post("/v2/models/bao/infer",
           R"({"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]})");
  EXPECT_EQ(response.status, 400);
  EXPECT_THAT(response.body, HasSubstr("/v1/chat/completions"));
}

}  // namespace
}  // namespace baozi::api
