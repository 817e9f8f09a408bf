// Chat templates of real model families, on the words of the demo model: what the prompt says, and
// what answers in the family's form are read as.
#include "baozi/engine/llama/llama_chat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "baozi/base/error.h"
#include "baozi/engine/llama/llama_engine.h"
#include "baozi/engine/test_models.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr const char* kTools = R"([
  {"type": "function", "function": {"name": "weather", "description": "The weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"},
      "days": {"type": "object"}}, "required": ["city"]}}},
  {"type": "function", "function": {"name": "time", "parameters": {"type": "object",
    "properties": {}}}}])";
constexpr const char* kQuestion = R"([{"role": "system", "content": "Be brief."},
  {"role": "user", "content": "Weather in Rome?"}])";

LlamaEngine& engine() {
  static LlamaEngine instance;
  return instance;
}

// Of the demo model, with a template of setup's share/templates; empty: its own.
LanguageModel& model(const std::string& family) {
  static std::map<std::string, std::shared_ptr<LanguageModel>> loaded;
  std::shared_ptr<LanguageModel>& model = loaded[family];
  if (model == nullptr) {
    LanguageOptions options{.context = 1024, .sequences = 1, .batch = 256, .threads = 2};
    if (!family.empty()) {
      const fs::path file = cache_folder() / "llama" / "share" / "templates" / (family + ".jinja");
      std::stringstream text;
      text << std::ifstream(file).rdbuf();
      options.chat_template = text.str();
      if (options.chat_template.empty()) ADD_FAILURE() << file << " is not there: make setup";
    }
    const fs::path smollm2 = cache_folder() / "models" / "smollm2" / "1" / "model.gguf";
    model = engine().load_language(smollm2, options, {});
  }
  return *model;
}

constexpr const char* kQwen25 = "Qwen-Qwen2.5-7B-Instruct";
constexpr const char* kQwen3 = "Qwen-Qwen3-0.6B";
constexpr const char* kLlama31 = "meta-llama-Llama-3.1-8B-Instruct";
constexpr const char* kLlama32 = "meta-llama-Llama-3.2-3B-Instruct";
constexpr const char* kGemma2 = "google-gemma-2-2b-it";

std::string show(const ChatReply& reply) {
  std::string text = reply.content;
  if (!reply.reasoning.empty()) text = "{" + reply.reasoning + "}" + text;
  for (const ToolCall& call : reply.tool_calls) text += "|" + call.name + call.arguments;
  return text;
}

std::string whole(const std::string& family, const std::string& answer, ToolChoice choice = {}) {
  const ChatPrompt prompt =
      model(family).chat({.messages = kQuestion, .tools = kTools, .tool_choice = choice});
  return show(model(family).read_reply(prompt, answer, true));
}

// Reads every beginning of the answer: each must go on from the one before, and no content may
// hold a part of a marker (answers here have no other `<` before a letter). What the last one says.
std::string streamed(const std::string& family, const std::string& answer) {
  const ChatPrompt prompt = model(family).chat({.messages = kQuestion, .tools = kTools});
  ChatReply before;
  for (std::size_t size = 0; size <= answer.size(); ++size) {
    const ChatReply now = model(family).read_reply(prompt, answer.substr(0, size), false);
    EXPECT_THAT(now.content, StartsWith(before.content)) << answer.substr(0, size);
    EXPECT_THAT(now.reasoning, StartsWith(before.reasoning)) << answer.substr(0, size);
    EXPECT_GE(now.tool_calls.size(), before.tool_calls.size()) << answer.substr(0, size);
    for (std::size_t i = 0; i < before.tool_calls.size() && i < now.tool_calls.size(); ++i) {
      EXPECT_EQ(now.tool_calls[i].name, before.tool_calls[i].name);
      EXPECT_THAT(now.tool_calls[i].arguments, StartsWith(before.tool_calls[i].arguments));
    }
    EXPECT_THAT(now.content, Not(testing::ContainsRegex("<[|a-z]"))) << answer.substr(0, size);
    before = now;
  }
  return show(before);
}

Error error_of(const ChatInput& input, const std::string& family = "") {
  try {
    model(family).chat(input);
  } catch (const Error& error) {
    return error;
  }
  return Error(Code::kOk, "no error");
}

TEST(LlamaChat, SmolLm2) {
  const ChatPrompt prompt = model("").chat({.messages = kQuestion});
  EXPECT_EQ(
      prompt.text,
      "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWeather in Rome?<|im_end|>\n"
      "<|im_start|>assistant\n");
  EXPECT_EQ(prompt.format, nullptr);
  EXPECT_THAT(prompt.grammar, IsEmpty());
  EXPECT_EQ(model("").read_reply(prompt, "<b>Sunny", true).content, "<b>Sunny");
  // The system message that its template writes when there is none.
  EXPECT_THAT(model("").chat({.messages = R"([{"role": "user", "content": "Hi"}])"}).text,
              StartsWith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM"));
  EXPECT_THAT(model("").chat({.messages = kQuestion, .answer = false}).text,
              EndsWith("Weather in Rome?<|im_end|>\n"));
}

TEST(LlamaChat, Qwen25) {
  const ChatPrompt prompt = model(kQwen25).chat({.messages = kQuestion, .tools = kTools});
  EXPECT_THAT(prompt.text, StartsWith("<|im_start|>system\nBe brief.\n\n# Tools\n"));
  EXPECT_THAT(prompt.text, HasSubstr(R"("description": "The weather of a city")"));
  EXPECT_THAT(prompt.text, EndsWith("Weather in Rome?<|im_end|>\n<|im_start|>assistant\n"));
  EXPECT_THAT(prompt.grammar, HasSubstr("root ::="));
  ASSERT_EQ(prompt.grammar_triggers.size(), 1u);
  EXPECT_EQ(prompt.grammar_triggers[0].text, "<tool_call>\n");
}

TEST(LlamaChat, QwensCalls) {
  const std::string rome =
      "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Rome\"}}\n</tool_call>";
  const std::string nested =
      "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"a\\\"}b\", \"days\": "
      "{\"x\": "
      "[1, {\"y\": null}]}}}\n</tool_call>";
  const std::string time = "<tool_call>\n{\"name\": \"time\", \"arguments\": {}}\n</tool_call>";
  for (const char* family : {kQwen25, kQwen3}) {
    for (const auto& read :
         {+[](const std::string& f, const std::string& a) { return whole(f, a); },
          +[](const std::string& f, const std::string& a) { return streamed(f, a); }}) {
      EXPECT_EQ(read(family, rome), R"(|weather{"city": "Rome"})");
      EXPECT_EQ(read(family, "Let me see. " + rome), R"(Let me see. |weather{"city": "Rome"})");
      EXPECT_EQ(read(family, time + "\n" + nested),
                R"(|time{}|weather{"city": "a\"}b", "days": {"x": [1, {"y": null}]}})");
      EXPECT_EQ(read(family, "It is < 20 degrees."), "It is < 20 degrees.");
    }
  }
}

TEST(LlamaChat, Qwen3Reasons) {
  EXPECT_EQ(whole(kQwen3, "<think>\nhm\n</think>\n\nHi"), "{hm\n}Hi");
  EXPECT_EQ(streamed(kQwen3, "<think>\nhm <tool\n</think>\n\nHi"), "{hm <tool\n}Hi");
  EXPECT_EQ(whole(kQwen3, "Hi"), "Hi");
  const ChatPrompt quick =
      model(kQwen3).chat({.messages = kQuestion, .options = R"({"enable_thinking": false})"});
  EXPECT_THAT(quick.text, EndsWith("<|im_start|>assistant\n<think>\n\n</think>\n\n"));
  EXPECT_EQ(show(model(kQwen3).read_reply(quick, "Hi", true)), "Hi");
}

TEST(LlamaChat, Llama3) {
  for (const char* family : {kLlama31, kLlama32}) {
    const ChatPrompt prompt = model(family).chat({.messages = kQuestion, .tools = kTools});
    EXPECT_THAT(prompt.text, HasSubstr("Cutting Knowledge Date: December 2023"));
    EXPECT_THAT(prompt.text, HasSubstr(R"("description": "The weather of a city")"));
    EXPECT_THAT(prompt.text, EndsWith("<|start_header_id|>assistant<|end_header_id|>\n\n"));
    const std::string call =
        R"({"name": "weather", "parameters": {"city": "Rome", "days": {"a": [1, "}"]}}})";
    const std::string read = R"(|weather{"city": "Rome", "days": {"a": [1, "}"]}})";
    for (const std::string& answer : {call, "<|python_tag|>" + call}) {
      EXPECT_EQ(whole(family, answer), read);
      EXPECT_EQ(streamed(family, answer), read);
    }
    EXPECT_EQ(whole(family, "Sunny."), "Sunny.");
    EXPECT_EQ(streamed(family, "Sunny."), "Sunny.");
  }
}

TEST(LlamaChat, AnAnswerThatOnlyLooksLikeACallIsText) {
  for (const char* answer :
       {R"({"a": 1})", R"({"name": "nobody", "parameters": {}})", R"(I think {"name")", "{", "{{{",
        R"({"name": "weather")", "<|python", "}"}) {
    EXPECT_EQ(whole(kLlama32, answer), answer);
    streamed(kLlama32, answer);
  }
  for (const char* answer : {"<tool_call>", "a <tool_call>\n{\"name\": \"nobody\"}\n</tool_call>",
                             "<tool", "</tool_call>", "<tool_call>\nnot JSON\n</tool_call>"}) {
    EXPECT_EQ(whole(kQwen25, answer), answer);
  }
}

TEST(LlamaChat, AnAnswerOfOpeningBracesIsText) {
  const std::string braces(20'000, '{');
  EXPECT_EQ(whole(kLlama32, braces), braces);
  const std::string arrays =
      "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"days\": " + std::string(50'000, '[');
  EXPECT_EQ(whole(kQwen25, arrays), arrays);
}

TEST(LlamaChat, ACallThatWasCutOffIsReadAsFarAsItCame) {
  EXPECT_EQ(whole(kQwen25, "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Ro"),
            "|weather{\"city\": \"Ro");
}

TEST(LlamaChat, Gemma2HasNoSystemRole) {
  EXPECT_THAT(model(kGemma2).chat({.messages = kQuestion}).text,
              HasSubstr("<start_of_turn>user\nBe brief.\nWeather in Rome?<end_of_turn>\n"
                        "<start_of_turn>model\n"));
  const Error error = error_of({.messages = R"([{"role": "user", "content": "a"},
                                                {"role": "user", "content": "b"}])"},
                               kGemma2);
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.message(), HasSubstr("Conversation roles must alternate"));
}

TEST(LlamaChat, CallsAndTheirResultsGoIntoThePrompt) {
  const ChatInput input{.messages = R"([
      {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
      {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function",
        "function": {"name": "weather", "arguments": "{\"city\": \"Rome\"}"}}]},
      {"role": "tool", "tool_call_id": "c1", "content": "24 degrees"}])",
                        .tools = kTools};
  const ChatPrompt qwen = model(kQwen25).chat(input);
  EXPECT_THAT(qwen.text, HasSubstr("<|im_start|>user\nWeather?<|im_end|>"));
  EXPECT_THAT(qwen.text, HasSubstr("<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": "
                                   "\"Rome\"}}\n</tool_call>"));
  EXPECT_THAT(qwen.text, HasSubstr("<tool_response>\n24 degrees\n</tool_response>"));
  const ChatPrompt llama = model(kLlama32).chat(input);
  EXPECT_THAT(llama.text, HasSubstr(R"({"name": "weather", "parameters": {"city": "Rome"}})"));
  EXPECT_THAT(llama.text, HasSubstr("24 degrees"));
}

// The analysis of a template is kept; what the second conversation says is its own.
TEST(LlamaChat, ASecondPromptIsAsTheFirst) {
  const ChatInput first{.messages = kQuestion, .tools = kTools};
  ChatInput second = first;
  second.messages = R"([{"role": "user", "content": "Time?"}])";
  const ChatPrompt fresh = model(kQwen25).chat(second);
  for (int i = 0; i < 2; ++i) {
    const ChatPrompt again = model(kQwen25).chat(i == 0 ? first : second);
    EXPECT_THAT(again.text, HasSubstr(i == 0 ? "Weather in Rome?" : "Time?"));
    EXPECT_EQ(again.grammar, fresh.grammar);
    EXPECT_EQ(again.format, fresh.format);
  }
  second.tool_choice = ToolChoice::kNone;
  EXPECT_THAT(model(kQwen25).chat(second).grammar, IsEmpty());
}

TEST(LlamaChat, FromManyThreads) {
  std::vector<std::thread> threads;
  std::vector<std::string> texts(4);
  const std::string expected = model(kQwen3).chat({.messages = kQuestion, .tools = kTools}).text;
  for (std::string& text : texts) {
    threads.emplace_back([&text] {
      for (int i = 0; i < 10; ++i) {
        const ChatPrompt prompt = model(kQwen3).chat(
            {.messages = kQuestion, .tools = kTools, .parallel_tool_calls = i % 2 == 0});
        model(kQwen3).read_reply(prompt, "<think>a</think>b", true);
        text = prompt.text;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(texts, testing::Each(expected));
}

TEST(LlamaChat, ASchemaBecomesAGrammar) {
  const std::string schema =
      R"({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})";
  EXPECT_THAT(model("").grammar_of_schema(schema), HasSubstr("root ::= "));
  const ChatPrompt prompt = model("").chat({.messages = kQuestion, .schema = schema});
  EXPECT_THAT(prompt.grammar, HasSubstr("integer"));
  EXPECT_THAT(prompt.grammar_triggers, IsEmpty());
  EXPECT_NO_THROW(model("").create_sampler(
      {.grammar = prompt.grammar, .grammar_prefix = prompt.grammar_prefix}));
  EXPECT_THAT(model("").chat({.messages = kQuestion, .schema = "{}"}).grammar, Not(IsEmpty()));
  EXPECT_EQ(model("").chat({.messages = kQuestion, .grammar = "root ::= \"x\""}).grammar,
            "root ::= \"x\"");
}

TEST(LlamaChat, InputThatMakesNoSense) {
  const auto says = [](const ChatInput& input, const std::string& words) {
    const Error error = error_of(input);
    EXPECT_EQ(error.code(), Code::kInvalidArgument) << words;
    EXPECT_THAT(error.message(), HasSubstr(words));
  };
  const auto messages = [&](const std::string& json, const std::string& words) {
    says({.messages = json}, words);
  };
  messages("", "'messages' is no valid JSON");
  messages("{nope", "'messages' is no valid JSON");
  messages("\"\xff\"", "'messages' is no valid JSON");
  messages(std::string(5000, '['), "nested more than 100 deep");
  messages("{}", "messages must be an array");
  messages("[]", "must not be empty");
  messages("[1]", "messages[0] must be an object");
  messages(R"([{"content": "a"}])", "messages[0].role is missing");
  messages(R"([{"role": 7, "content": "a"}])", "messages[0].role must be a string");
  messages(R"([{"role": "king", "content": "a"}])", "messages[0].role is 'king'");
  messages(R"([{"role": "user"}])", "messages[0].content is missing");
  messages(R"([{"role": "user", "content": 3}])", "messages[0].content must be a string");
  messages(R"([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}])",
           "'image_url', but this model reads text only");
  messages(R"([{"role": "assistant", "tool_calls": [{"type": "function", "function": {}}]}])",
           "messages[0].tool_calls[0].function.name is missing");
  const auto tools = [&](const std::string& json, const std::string& words) {
    says({.messages = kQuestion, .tools = json}, words);
  };
  tools("{}", "tools must be an array");
  tools(R"([{"type": "retrieval"}])", "tools[0].type must be 'function'");
  tools(R"([{"type": "function"}])", "tools[0].function must be an object");
  tools(R"([{"type": "function", "function": {"name": ""}}])", "tools[0].function.name");
  tools(R"([{"type": "function", "function": {"name": "a", "parameters": []}}])",
        "tools[0].function.parameters");
  says({.messages = kQuestion, .tool_choice = ToolChoice::kRequired}, "there are no tools");
  says({.messages = kQuestion, .schema = "[]"}, "schema must be an object");
  says({.messages = kQuestion, .schema = R"({"type": "nonsense"})"}, "nonsense");
  says({.messages = kQuestion, .schema = "{\"" + std::string(300, 'a') + "\": 1}"}, "300 bytes");
  says({.messages = kQuestion, .schema = "{}", .grammar = "root ::= \"a\""}, "together");
  says({.messages = kQuestion, .options = "[]"}, "options must be an object");
  says({.messages = kQuestion, .options = R"({"messages": []})"}, "options.messages");
  EXPECT_THROW(model("").grammar_of_schema("{"), Error);
  EXPECT_THROW(model("").grammar_of_schema(R"({"$ref": "#/nowhere"})"), Error);
}

// Rather than to leave them out without a word.
TEST(LlamaChat, ATemplateWithoutToolsSaysSo) {
  for (const char* family : {"", kGemma2}) {
    const ChatInput input{.messages = kQuestion, .tools = kTools};
    EXPECT_EQ(error_of(input, family).code(), Code::kInvalidArgument);
    EXPECT_THAT(error_of(input, family).message(), HasSubstr("knows no tools"));
    ChatInput none = input;
    none.tool_choice = ToolChoice::kNone;
    EXPECT_EQ(error_of(none, family).code(), Code::kOk);
  }
}

// The whole way: the grammar begins after what the template wrote of the answer, and the answer of
// even the smallest model is a call.
TEST(LlamaChat, ARequiredCallIsMade) {
  const LanguageModel& qwen = model(kQwen25);
  const ChatPrompt prompt =
      qwen.chat({.messages = kQuestion, .tools = kTools, .tool_choice = ToolChoice::kRequired});
  const std::string call = "<tool_call>\n{\"name\": \"time\", \"arguments\": {}}\n</tool_call>";
  const auto allowed = [&](const std::string& answer) {
    const auto sampler = qwen.create_sampler(
        {.temperature = 0, .grammar = prompt.grammar, .grammar_prefix = prompt.grammar_prefix});
    std::vector<float> logits(static_cast<std::size_t>(qwen.facts().vocabulary));
    for (const Token token : qwen.tokenize(answer, false, true)) {
      std::ranges::fill(logits, 0.0F);
      logits[static_cast<std::size_t>(token)] = 10;
      if (sampler->sample(logits) != token) return false;
    }
    return true;
  };
  EXPECT_TRUE(allowed(call));
  EXPECT_FALSE(allowed("<tool_call>\n{\"name\": \"nobody\""));
  EXPECT_EQ(show(qwen.read_reply(prompt, call, true)), "|time{}");
}

TEST(LlamaChat, ATemplateThatCannotBeUsed) {
  LanguageOptions options{.context = 256, .sequences = 1, .batch = 64, .threads = 1};
  options.chat_template = "{% for message in %}";
  const fs::path smollm2 = cache_folder() / "models" / "smollm2" / "1" / "model.gguf";
  const auto broken = engine().load_language(smollm2, options, {});
  try {
    broken->chat({.messages = kQuestion});
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    EXPECT_THAT(error.message(), StartsWith("the chat template cannot be used: "));
  }
}

}  // namespace
}  // namespace baozi::engine
