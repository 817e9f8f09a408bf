// What a chat template makes of a conversation, and of the model's answer to it. Part of
// language.h.
//
//   ChatPrompt prompt = model.chat({.messages = R"([{"role": "user", "content": "Hi!"}])"});
//   sampling.grammar = prompt.grammar;                       // and its prefix and triggers
//   … the model reads prompt.text and answers `text` …
//   ChatReply reply = model.read_reply(prompt, text, true);
//
// Thread safety: values.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace baozi::engine {

using Token = std::int32_t;

enum class ToolChoice : std::uint8_t { kAuto, kNone, kRequired };

// JSON as in OpenAI's chat completions (https://platform.openai.com/docs/api-reference/chat).
struct ChatInput {
  std::string messages;    // an array: role, content (text, or parts of text), tool_calls, …
  std::string tools = {};  // an array of definitions of functions; empty: none
  ToolChoice tool_choice = ToolChoice::kAuto;
  bool parallel_tool_calls = true;  // whether an answer may hold several calls
  std::string schema = {};          // JSON schema the answer must follow, or "{}" for any object;
                                    // empty: none
  std::string grammar = {};  // GBNF the answer must follow; not together with schema or tools
  bool answer = true;        // the assistant's turn begins at the end
  std::string options = {};  // an object of variables for the template, such as
                             // {"enable_thinking": false}
};

// A grammar that waits begins where one of its triggers shows in the answer.
struct GrammarTrigger {
  std::string text;
  bool pattern = false;  // an ECMAScript regular expression; the grammar begins at its first group
};

// How answers to a prompt are written; the model's own.
class ReplyFormat {
 public:
  virtual ~ReplyFormat() = default;
};

struct ChatPrompt {
  std::string text;                                   // special tokens as text
  std::string grammar = {};                           // GBNF; empty: none
  std::string grammar_prefix = {};                    // as in Sampling
  std::vector<GrammarTrigger> grammar_triggers = {};  // as in Sampling
  std::vector<std::string> stops = {};                // further strings that end the answer
  std::vector<Token> visible = {};  // special tokens whose text belongs to the answer
  std::shared_ptr<const ReplyFormat> format = {};  // null: an answer is its text
};

struct ToolCall {
  std::string id;  // empty: the model gave none
  std::string name;
  std::string arguments;  // JSON
};

struct ChatReply {
  std::string content;
  std::string reasoning;
  std::vector<ToolCall> tool_calls;
};

}  // namespace baozi::engine
