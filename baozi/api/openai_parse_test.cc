#include "baozi/api/openai_parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "baozi/api/openai_error.h"

namespace baozi::api {
namespace {

using engine::ToolChoice;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ChatRequest chat(std::string_view fields) {
  return parse_chat_request(R"({"messages":[{"role":"user","content":"Hi"}])" +
                                (fields.empty() ? "" : "," + std::string(fields)) + "}",
                            0);
}
TextRequest text(std::string_view fields) {
  return parse_text_request(
      R"({"prompt":"Hi")" + (fields.empty() ? "" : "," + std::string(fields)) + "}", 0);
}

TEST(OpenAiParse, ReadsWhatSamplingIsToBe) {
  const ChatRequest request = chat(
      R"("temperature":0.5,"top_p":0.9,"min_p":0.1,"top_k":-1,"seed":-1,"presence_penalty":-2,)"
      R"("frequency_penalty":1.5,"repeat_penalty":1.1,"repeat_last_n":32,"ignore_eos":true,)"
      R"("max_completion_tokens":7,"stop":"\n","priority":3,"overflow":"shift","user":"anna",)"
      R"("logit_bias":{"15":-100,"16":2.5},"cache_prompt":true)");
  const llm::CompletionRequest& asked = request.wishes.completion;
  EXPECT_FLOAT_EQ(asked.sampling.temperature, 0.5F);
  EXPECT_FLOAT_EQ(asked.sampling.top_p, 0.9F);
  EXPECT_FLOAT_EQ(asked.sampling.min_p, 0.1F);
  EXPECT_EQ(asked.sampling.top_k, 0);
  EXPECT_EQ(request.wishes.seed, 0xffffffffu);
  EXPECT_FLOAT_EQ(asked.sampling.presence_penalty, -2);
  EXPECT_FLOAT_EQ(asked.sampling.frequency_penalty, 1.5F);
  EXPECT_FLOAT_EQ(asked.sampling.repetition_penalty, 1.1F);
  EXPECT_EQ(asked.sampling.penalty_window, 32);
  EXPECT_TRUE(asked.ignore_end);
  EXPECT_EQ(asked.max_tokens, 7);
  EXPECT_THAT(asked.stops, ElementsAre("\n"));
  EXPECT_EQ(asked.priority, 3);
  EXPECT_EQ(asked.overflow, llm::Overflow::kShift);
  EXPECT_EQ(asked.client, "anna");
  EXPECT_THAT(asked.sampling.bias, ElementsAre(std::pair(15, -100.0F), std::pair(16, 2.5F)));
}

TEST(OpenAiParse, ReadsLlamaServersBias) {
  const auto bias = chat(R"("logit_bias":[[15,1],[16,false]])").wishes.completion.sampling.bias;
  ASSERT_EQ(bias.size(), 2u);
  EXPECT_EQ(bias[0], std::pair(15, 1.0F));
  EXPECT_EQ(bias[1].first, 16);
  EXPECT_TRUE(std::isinf(bias[1].second) && bias[1].second < 0);
}

TEST(OpenAiParse, TakesNullAndUnknownFieldsAsNotGiven) {
  const ChatRequest request = chat(
      R"("temperature":null,"stop":null,"max_tokens":null,"tools":null,"response_format":null,)"
      R"("store":true,"metadata":{"a":[1,{}]},"service_tier":"auto")");
  EXPECT_EQ(request.wishes.completion.max_tokens, -1);
  EXPECT_TRUE(request.wishes.completion.stops.empty());
  EXPECT_EQ(request.tool_choice, ToolChoice::kAuto);
}

TEST(OpenAiParse, KeepsMessagesAndToolsAsTheyAre) {
  const ChatRequest request =
      chat(R"("tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none",)"
           R"("chat_template_kwargs":{"enable_thinking":false})");
  EXPECT_EQ(request.messages, R"([{"role":"user","content":"Hi"}])");
  EXPECT_EQ(request.tools, R"([{"type":"function","function":{"name":"f"}}])");
  EXPECT_EQ(request.tool_choice, ToolChoice::kNone);
  EXPECT_EQ(request.template_arguments, R"({"enable_thinking":false})");
}

TEST(OpenAiParse, ReadsEveryKindOfPrompt) {
  using Tokens = std::vector<engine::Token>;
  const auto prompts = [](std::string_view prompt) {
    return parse_text_request(R"({"prompt":)" + std::string(prompt) + "}", 0).prompts;
  };
  EXPECT_THAT(prompts(R"("a")"), ElementsAre(Prompt("a")));
  EXPECT_THAT(prompts(R"(["a","b"])"), ElementsAre(Prompt("a"), Prompt("b")));
  EXPECT_THAT(prompts("[1,2]"), ElementsAre(Prompt(Tokens{1, 2})));
  EXPECT_THAT(prompts("[[1],[2,3]]"), ElementsAre(Prompt(Tokens{1}), Prompt(Tokens{2, 3})));
}

struct Wrong {
  std::string_view fields;
  std::string_view param;
  std::string_view words;
};

template <class Parse>
void expect_refused(Parse parse, const Wrong& wrong) {
  try {
    parse(wrong.fields);
    ADD_FAILURE() << wrong.fields << " was taken";
  } catch (const FieldError& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << wrong.fields;
    EXPECT_EQ(error.field(), wrong.param) << wrong.fields;
    EXPECT_THAT(error.message(), HasSubstr(wrong.words)) << wrong.fields;
  }
}

TEST(OpenAiParse, NamesTheFieldThatIsWrong) {
  const Wrong wrongs[] = {
      {R"("temperature":"hot")", "temperature", R"(must be a number, it is "hot")"},
      {R"("temperature":2.5)", "temperature", "must be from 0 to 2, it is 2.5"},
      {R"("temperature":-0.1)", "temperature", "must be from 0 to 2"},
      {R"("top_p":1.5)", "top_p", "from 0 to 1"},
      {R"("min_p":-1)", "min_p", "from 0 to 1"},
      {R"("top_k":1.5)", "top_k", "must be a whole number, it is 1.5"},
      {R"("repeat_penalty":0)", "repeat_penalty", "from 0.01 to 100"},
      {R"("repeat_last_n":-2)", "repeat_last_n", "from -1"},
      {R"("presence_penalty":3)", "presence_penalty", "from -2 to 2"},
      {R"("frequency_penalty":[])", "frequency_penalty", "it is a list"},
      {R"("n":0)", "n", "must be from 1 to 16"},
      {R"("n":17)", "n", "must be from 1 to 16"},
      {R"("n":true)", "n", "must be a whole number, it is true"},
      {R"("max_tokens":0)", "max_tokens", "at least 1"},
      {R"("max_tokens":-2)", "max_tokens", "from -1"},
      {R"("max_tokens":99999999999999999999)", "max_tokens", "a whole number"},
      {R"("stop":1)", "stop", "must be a string, it is 1"},
      {R"("stop":[""])", "stop", "must not be empty"},
      {R"("stop":["a",1])", "stop", "must be a string, it is 1"},
      {R"("seed":"x")", "seed", "whole number"},
      {R"("logit_bias":{"a":1})", "logit_bias", "token numbers as keys, not 'a'"},
      {R"("logit_bias":{"-1":1})", "logit_bias", "token numbers as keys"},
      {R"("logit_bias":{"1":101})", "logit_bias", "from -100 to 100"},
      {R"("logit_bias":[[1]])", "logit_bias", "[token, bias]"},
      {R"("logit_bias":[[1,2,3]])", "logit_bias", "[token, bias]"},
      {R"("logit_bias":[[1,true]])", "logit_bias", "must be a number"},
      {R"("user":7)", "user", "must be a string"},
      {R"("stream":"yes")", "stream", "true or false"},
      {R"("stream_options":{"include_usage":true})", "stream_options", R"(needs "stream": true)"},
      {R"("overflow":"drop")", "overflow", R"(not "drop")"},
      {R"("priority":1e9)", "priority", "whole number"},
      {R"("response_format":{"type":"xml"})", "response_format", R"(not "xml")"},
      {R"("response_format":{"type":"json_schema"})", "response_format", "no 'schema'"},
      {R"("response_format":"json")", "response_format", "must be an object"},
      {R"("json_schema":{"type":"object"},"grammar":"root ::= \"a\"")", "grammar", "one of them"},
      {R"("json_schema":{"a":[1 2]})", "json_schema", "not valid JSON"},
  };
  for (const Wrong& wrong : wrongs) {
    expect_refused(chat, wrong);
    expect_refused(text, wrong);
  }
}

TEST(OpenAiParse, NamesTheWrongFieldOfAChat) {
  const Wrong wrongs[] = {
      {R"("messages":"Hi")", "messages", R"(must be a list, it is "Hi")"},
      {R"("tools":{})", "tools", "must be a list"},
      {R"("tool_choice":"any")", "tool_choice", R"(not "any")"},
      {R"("tool_choice":{"type":"function"})", "tool_choice", "names no function"},
      {R"("tool_choice":{"function":{"name":"f"}})", "tool_choice", "not among the 'tools'"},
      {R"("parallel_tool_calls":1)", "parallel_tool_calls", "true or false"},
      {R"("chat_template_kwargs":[])", "chat_template_kwargs", "must be an object"},
      {R"("top_logprobs":21,"logprobs":true)", "top_logprobs", "from 0 to 20"},
      {R"("top_logprobs":2)", "top_logprobs", R"(needs "logprobs": true)"},
      {R"("logprobs":3)", "logprobs", "true or false"},
      {R"("functions":[])", "functions", "give 'tools'"},
  };
  for (const Wrong& wrong : wrongs) expect_refused(chat, wrong);
  expect_refused([](std::string_view body) { parse_chat_request(body, 0); },
                 {"{}", "messages", "has no 'messages'"});
}

TEST(OpenAiParse, NamesTheWrongFieldOfACompletion) {
  const Wrong wrongs[] = {
      {R"("prompt":[])", "prompt", "empty list"},
      {R"("prompt":[1,"a"])", "prompt", "mixes"},
      {R"("prompt":["a",1])", "prompt", "mixes"},
      {R"("prompt":[-1])", "prompt", "from 0"},
      {R"("prompt":[1.5])", "prompt", "whole number"},
      {R"("prompt":{})", "prompt", "must be a list"},
      {R"("suffix":"!")", "suffix", "not supported"},
      {R"("best_of":2)", "best_of", "unless it equals 'n'"},
      {R"("logprobs":true)", "logprobs", "whole number"},
      {R"("logprobs":1,"echo":true)", "logprobs", "leave 'echo' out"},
      {R"("prompt":["a","b","c","d","e"],"n":16)", "n", "at most 64 answers"},
  };
  for (const Wrong& wrong : wrongs) expect_refused(text, wrong);
  EXPECT_EQ(text(R"("best_of":2,"n":2,"suffix":"")").wishes.n, 2);
}

TEST(OpenAiParse, BoundsWhatARequestHolds) {
  std::string stops = R"("stop":["a")";
  for (std::size_t i = 1; i < kStopsMax; ++i) stops += R"(,"a")";
  EXPECT_EQ(chat(stops + "]").wishes.completion.stops.size(), kStopsMax);
  expect_refused(chat, {stops + R"(,"a"])", "stop", "at most 128 stop strings"});
  std::string bias = R"("logit_bias":{"0":1)";
  for (std::size_t i = 1; i <= kBiasMax; ++i) bias += ",\"" + std::to_string(i) + "\":1";
  expect_refused(chat, {bias + "}", "logit_bias", "at most 1024 entries"});
}

TEST(OpenAiParse, NamesTheWrongFieldOfAResponse) {
  const auto parse = [](std::string_view fields) {
    return parse_responses_request("{\"input\":\"Hi\"," + std::string(fields) + "}", 0);
  };
  const Wrong wrongs[] = {
      {R"("input":[])", "input", "has no 'input'"},
      {R"("input":[{"type":"function_call_output"}])", "input", "text only"},
      {R"("input":[{"role":"user","content":[{"type":"input_image"}]}])", "input", "text only"},
      {R"("input":[{"role":"cook","content":"Hi"}])", "input", R"(not "cook")"},
      {R"("max_output_tokens":0)", "max_output_tokens", "from 1"},
      {R"("text":{"format":{"type":"xml"}})", "text", R"(not "xml")"},
      {R"("truncation":"all")", "truncation", R"(not "all")"},
      {R"("tools":[{"type":"web_search"}])", "tools", "/v1/chat/completions"},
      {R"("previous_response_id":"resp_1")", "previous_response_id", "not stored"},
      {R"("background":true)", "background", "not supported"},
      {R"("n":2)", "n", "one answer"},
  };
  for (const Wrong& wrong : wrongs) expect_refused(parse, wrong);
  const ResponsesRequest request =
      parse(R"("tools":[],"background":false,"truncation":"auto",)"
            R"("text":{"format":{"type":"json_schema","name":"x","schema":{"type":"integer"}}})");
  EXPECT_EQ(request.chat.wishes.completion.overflow, llm::Overflow::kTruncate);
  EXPECT_EQ(request.chat.wishes.json_schema, R"({"type":"integer"})");
  EXPECT_EQ(request.format, R"({"type":"json_schema","name":"x","schema":{"type":"integer"}})");
}

TEST(OpenAiParse, NamesTheWrongFieldOfEmbeddingsAndTokens) {
  const auto embeddings = [](std::string_view fields) {
    return parse_embeddings_request("{" + std::string(fields) + "}", 0);
  };
  for (const Wrong& wrong : {
           Wrong{R"("model":"m")", "input", "has no 'input'"},
           Wrong{R"("input":[])", "input", "has no 'input'"},
           Wrong{R"("input":[1,2])", "input", "tokens are not taken"},
           Wrong{R"("input":[[1]])", "input", "tokens are not taken"},
           Wrong{R"("input":"a","encoding_format":"hex")", "encoding_format", R"(not "hex")"},
           Wrong{R"("input":"a","dimensions":0)", "dimensions", "from 1"},
       })
    expect_refused(embeddings, wrong);
  EXPECT_THAT(embeddings(R"("input":["a","b"],"encoding_format":"base64")").texts,
              ElementsAre("a", "b"));
  expect_refused([](std::string_view body) { parse_tokenize_request(body, 0); },
                 {"{}", "content", "has no 'content'"});
  expect_refused([](std::string_view body) { parse_detokenize_request(body, 0); },
                 {R"({"tokens":[-1]})", "tokens", "from 0"});
}

TEST(OpenAiParse, RefusesWhatIsNoJsonObjectInUtf8) {
  for (const std::string_view body :
       {"", "[]", "{", "{\"messages\":[]", "{\"messages\":[]}x", "{\"messages\":[\"\xff\"]}",
        "{\"messages\":[1 2]}", R"({"user":"\ud800","messages":[]})", R"({"stop":nul})"}) {
    try {
      parse_chat_request(body, 0);
      ADD_FAILURE() << body << " was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument) << body;
    }
  }
}

}  // namespace
}  // namespace baozi::api
