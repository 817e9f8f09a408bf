#include "baozi/engine/llama/chat/read_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <string>
#include <string_view>

#include "baozi/base/error.h"
#include "baozi/engine/llama/chat/json_text.h"

namespace baozi::engine {
namespace {

constexpr std::array<std::string_view, 5> kRoles{"system", "developer", "user", "assistant",
                                                 "tool"};

constexpr std::size_t kToolNameMax = 256;

[[noreturn]] void refuse(std::string_view path, std::string_view why) {
  throw Error(Code::kInvalidArgument, fmt::format("{} {}", path, why));
}

void check_text(const common_json& object, const std::string& key, const std::string& path) {
  if (!object.contains(key)) refuse(fmt::format("{}.{}", path, key), "is missing");
  if (!object.at(key).is_string()) refuse(fmt::format("{}.{}", path, key), "must be a string");
}

void check_part(const common_json& part, const std::string& path) {
  if (!part.is_object()) refuse(path, "must be an object");
  check_text(part, "type", path);
  const auto type = part.at("type").get<std::string>();
  if (type != "text")
    refuse(path, fmt::format("is of type '{}', but this model reads text only", type));
  check_text(part, "text", path);
}

void check_content(const common_json& content, const std::string& path) {
  if (content.is_string() || content.is_null()) return;
  if (!content.is_array()) refuse(path, "must be a string or an array of parts");
  for (std::size_t i = 0; i < content.size(); ++i)
    check_part(content[i], fmt::format("{}[{}]", path, i));
}

void check_calls(const common_json& calls, const std::string& path) {
  if (!calls.is_array()) refuse(path, "must be an array");
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const std::string at = fmt::format("{}[{}]", path, i);
    const common_json& call = calls[i];
    if (!call.is_object()) refuse(at, "must be an object");
    if (call.value("type", "") != "function") refuse(at + ".type", "must be 'function'");
    if (!call.contains("function") || !call.at("function").is_object())
      refuse(at + ".function", "must be an object");
    check_text(call.at("function"), "name", at + ".function");
    check_text(call.at("function"), "arguments", at + ".function");
    if (call.contains("id") && !call.at("id").is_string()) refuse(at + ".id", "must be a string");
  }
}

void check_message(const common_json& message, const std::string& path) {
  if (!message.is_object()) refuse(path, "must be an object");
  check_text(message, "role", path);
  const auto role = message.at("role").get<std::string>();
  if (std::ranges::find(kRoles, role) == kRoles.end()) {
    refuse(path + ".role",
           fmt::format("is '{}', but must be system, developer, user, assistant or tool", role));
  }
  const bool calls = message.contains("tool_calls") && !message.at("tool_calls").is_null();
  if (message.contains("content")) {
    check_content(message.at("content"), path + ".content");
  } else if (!calls) {
    refuse(path + ".content", "is missing");
  }
  if (calls) check_calls(message.at("tool_calls"), path + ".tool_calls");
  for (const char* key : {"name", "tool_call_id", "reasoning_content"}) {
    if (message.contains(key) && !message.at(key).is_null()) check_text(message, key, path);
  }
}

// The library takes no null for what is optional.
common_json without_nulls(const common_json& message) {
  common_json kept = message;
  for (const char* key : {"tool_calls", "name", "tool_call_id", "reasoning_content"}) {
    if (kept.contains(key) && kept.at(key).is_null()) kept.erase(key);
  }
  return kept;
}

std::vector<common_chat_msg> read_messages(const std::string& text) {
  const common_json messages = read_json("messages", text);
  if (!messages.is_array()) refuse("messages", "must be an array");
  if (messages.empty()) refuse("messages", "must not be empty");
  common_json kept = common_json::array();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    check_message(messages[i], fmt::format("messages[{}]", i));
    kept.push_back(without_nulls(messages[i]));
  }
  return common_chat_msgs_parse_oaicompat(kept);
}

std::vector<common_chat_tool> read_tools(const std::string& text) {
  const common_json tools = read_schema_json("tools", text);
  if (!tools.is_array()) refuse("tools", "must be an array");
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string at = fmt::format("tools[{}]", i);
    const common_json& tool = tools[i];
    if (!tool.is_object()) refuse(at, "must be an object");
    check_text(tool, "type", at);
    if (tool.at("type").get<std::string>() != "function")
      refuse(at + ".type", "must be 'function'");
    if (!tool.contains("function") || !tool.at("function").is_object())
      refuse(at + ".function", "must be an object");
    const common_json& function = tool.at("function");
    check_text(function, "name", at + ".function");
    const std::size_t length = function.at("name").get<std::string>().size();
    if (length == 0 || length > kToolNameMax) {
      refuse(at + ".function.name",
             fmt::format("has {} bytes, but must have 1 to {}", length, kToolNameMax));
    }
    if (function.contains("description")) check_text(function, "description", at + ".function");
    if (function.contains("parameters") && !function.at("parameters").is_object())
      refuse(at + ".function.parameters", "must be an object");
  }
  return common_chat_tools_parse_oaicompat(tools);
}

std::string read_schema(const std::string& text) {
  common_json schema = read_schema_json("schema", text);
  if (!schema.is_object()) refuse("schema", "must be an object");
  if (schema.empty()) schema["type"] = "object";
  return schema.dump();
}

void read_options(const std::string& text, common_chat_templates_inputs& inputs) {
  const common_json options = read_json("options", text);
  if (!options.is_object()) refuse("options", "must be an object");
  for (const auto& item : options.items()) {
    for (const char* key : {"messages", "tools", "add_generation_prompt"}) {
      if (item.key() == key) refuse(fmt::format("options.{}", key), "cannot be set");
    }
    inputs.chat_template_kwargs[item.key()] = item.value().dump();
  }
  if (!options.contains("enable_thinking")) return;
  if (!options.at("enable_thinking").is_boolean())
    refuse("options.enable_thinking", "must be true or false");
  inputs.enable_thinking = options.at("enable_thinking").get<bool>();
}

common_chat_tool_choice read_choice(ToolChoice choice) {
  switch (choice) {
    case ToolChoice::kNone:
      return COMMON_CHAT_TOOL_CHOICE_NONE;
    case ToolChoice::kRequired:
      return COMMON_CHAT_TOOL_CHOICE_REQUIRED;
    case ToolChoice::kAuto:
      break;
  }
  return COMMON_CHAT_TOOL_CHOICE_AUTO;
}

}  // namespace

common_chat_templates_inputs read_chat_input(const ChatInput& input) {
  common_chat_templates_inputs inputs;
  try {
    inputs.messages = read_messages(input.messages);
    if (!input.tools.empty()) inputs.tools = read_tools(input.tools);
    if (!input.schema.empty()) inputs.json_schema = read_schema(input.schema);
    if (!input.options.empty()) read_options(input.options, inputs);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(Code::kInvalidArgument, brief(error.what()));
  }
  inputs.tool_choice = read_choice(input.tool_choice);
  if (inputs.tool_choice == COMMON_CHAT_TOOL_CHOICE_REQUIRED && inputs.tools.empty())
    refuse("tool_choice", "requires a tool, but there are no tools");
  const bool calls = !inputs.tools.empty() && inputs.tool_choice != COMMON_CHAT_TOOL_CHOICE_NONE;
  if (!input.grammar.empty() && !input.schema.empty())
    refuse("grammar", "cannot be given together with a schema");
  if (!input.grammar.empty() && calls) refuse("grammar", "cannot be given together with tools");
  inputs.parallel_tool_calls = input.parallel_tool_calls;
  inputs.add_generation_prompt = input.answer;
  inputs.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
  return inputs;
}

}  // namespace baozi::engine
