#include "baozi/engine/llama/builtin_chat.h"

#include <fmt/format.h>
#include <llama.h>
#include <simdjson.h>

#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/llama/llama_chat.h"

namespace baozi::engine {
namespace {

using simdjson::dom::element;

[[noreturn]] void refuse(std::size_t message, std::string_view why) {
  throw Error(Code::kInvalidArgument, fmt::format("messages[{}]{}", message, why));
}

std::string content_of(element content, std::size_t index) {
  if (content.is_null()) return "";
  std::string_view text;
  if (content.get(text) == simdjson::SUCCESS) return std::string(text);
  simdjson::dom::array parts;
  if (content.get(parts) != simdjson::SUCCESS)
    refuse(index, ".content must be a string or an array of parts");
  std::string joined;
  for (const element part : parts) {
    if (part["text"].get(text) != simdjson::SUCCESS)
      refuse(index, ".content holds more than text, which this model does not read");
    joined += text;
  }
  return joined;
}

std::vector<ChatMessage> read_messages(const std::string& json) {
  simdjson::dom::parser parser;
  simdjson::dom::array array;
  if (parser.parse(json).get(array) != simdjson::SUCCESS)
    throw Error(Code::kInvalidArgument, "'messages' is no valid JSON array");
  std::vector<ChatMessage> messages;
  for (const element each : array) {
    std::string_view role;
    element content;
    if (each["role"].get(role) != simdjson::SUCCESS)
      refuse(messages.size(), ".role is missing, or no string");
    if (each["content"].get(content) != simdjson::SUCCESS)
      refuse(messages.size(), ".content is missing");
    messages.push_back({std::string(role), content_of(content, messages.size())});
  }
  if (messages.empty()) throw Error(Code::kInvalidArgument, "messages must not be empty");
  return messages;
}

}  // namespace

std::string builtin_chat_text(const std::string& jinja, std::span<const ChatMessage> messages,
                              bool answer) {
  std::vector<llama_chat_message> turns;
  std::size_t size = 256;
  for (const ChatMessage& message : messages) {
    turns.push_back({message.role.c_str(), message.content.c_str()});
    size += 2 * message.content.size() + 64;
  }
  std::string text(size, '\0');
  const auto write = [&] {
    return llama_chat_apply_template(jinja.c_str(), turns.data(), turns.size(), answer, text.data(),
                                     static_cast<std::int32_t>(text.size()));
  };
  std::int32_t written = write();
  if (written > static_cast<std::int32_t>(text.size())) {
    text.resize(static_cast<std::size_t>(written));
    written = write();
  }
  text.resize(written < 0 ? 0 : static_cast<std::size_t>(written));
  return text;
}

ChatPrompt builtin_chat(const std::string& jinja, const ChatInput& input) {
  const bool tools = !input.tools.empty() && input.tool_choice != ToolChoice::kNone;
  if (tools || !input.schema.empty() || !input.options.empty()) llama_chat_library();  // says why
  const std::vector<ChatMessage> messages = read_messages(input.messages);
  ChatPrompt prompt;
  prompt.text = builtin_chat_text(jinja, messages, input.answer);
  if (prompt.text.empty()) llama_chat_library();
  prompt.grammar = input.grammar;
  return prompt;
}

}  // namespace baozi::engine
