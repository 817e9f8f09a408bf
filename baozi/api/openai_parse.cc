#include "baozi/api/openai_parse.h"

#include <algorithm>

#include "baozi/api/openai_fields.h"

namespace baozi::api {
namespace {

std::vector<engine::Token> read_tokens(ondemand::array list) {
  std::vector<engine::Token> tokens;
  for (auto item : list) tokens.push_back(take_token(take(std::move(item)), "prompt"));
  return tokens;
}

// A string, a list of strings, a list of tokens, or a list of such lists.
std::vector<Prompt> read_prompts(ondemand::value value) {
  std::vector<Prompt> prompts;
  if (is_string(value)) {
    prompts.emplace_back(std::string(take_string(value, "'prompt'")));
    return prompts;
  }
  std::vector<engine::Token> tokens;
  for (auto item : take_array(value, "'prompt'")) {
    ondemand::value part = take(std::move(item));
    const bool number = !is_string(part) && !is_array(part);
    if (number ? !prompts.empty() : !tokens.empty())
      invalid("'prompt' mixes token numbers with texts or lists");
    if (number) {
      tokens.push_back(take_token(part, "prompt"));
      continue;
    }
    if (prompts.size() == kAnswersMax)
      invalid(fmt::format("'prompt' has at most {} prompts", kAnswersMax));
    if (is_string(part)) {
      prompts.emplace_back(std::string(take_string(part, "'prompt'")));
    } else {
      prompts.emplace_back(read_tokens(take_array(part, "an entry of 'prompt'")));
    }
  }
  if (!tokens.empty()) prompts.emplace_back(std::move(tokens));
  if (prompts.empty()) invalid("'prompt' is an empty list");
  return prompts;
}

// {"type":"function","function":{"name":"f"}}
std::string take_tool_name(ondemand::value value) {
  std::string name;
  for (auto item : take_object(value, "'tool_choice'")) {
    ondemand::field field = take(std::move(item));
    if (take_key(field) != "function") continue;
    for (auto inner : take_object(field.value(), "'function'")) {
      ondemand::field nested = take(std::move(inner));
      if (take_key(nested) == "name") name = take_string(nested.value(), "'name'");
    }
  }
  if (name.empty()) invalid("'tool_choice' names no function");
  return name;
}

// Sets the choice; gives the name of the function that must be called, if one is named.
std::string read_tool_choice(ondemand::value value, ChatRequest& chat) {
  using engine::ToolChoice;
  if (is_object(value)) {
    chat.tool_choice = ToolChoice::kRequired;
    return take_tool_name(value);
  }
  const std::string_view name = take_string(value, "'tool_choice'");
  if (name == "auto") {
    chat.tool_choice = ToolChoice::kAuto;
  } else if (name == "none") {
    chat.tool_choice = ToolChoice::kNone;
  } else if (name == "required") {
    chat.tool_choice = ToolChoice::kRequired;
  } else {
    invalid(
        fmt::format("'tool_choice' is \"auto\", \"none\", \"required\" or an object that names "
                    "a function, not \"{}\"",
                    name));
  }
  return "";
}

std::string function_name(ondemand::object tool) {
  for (auto item : tool) {
    ondemand::field field = take(std::move(item));
    ondemand::value value = field.value();
    if (take_key(field) != "function" || !is_object(value)) continue;
    for (auto inner : take_object(value, "'function'")) {
      ondemand::field nested = take(std::move(inner));
      ondemand::value name = nested.value();
      if (take_key(nested) == "name" && is_string(name))
        return std::string(take_string(name, "a function's 'name'"));
    }
  }
  return "";
}

// The list with the tool called `name` only: who must be called is the only one there is.
std::string only_tool(const std::string& tools, std::string_view name) {
  if (!tools.empty()) {
    JsonText json(tools, 0);
    for (auto item : json.array()) {
      const std::string tool = take_object_text(take(std::move(item)), "an entry of 'tools'");
      JsonText one(tool, 0);
      if (function_name(one.object()) == name) return fmt::format("[{}]", tool);
    }
  }
  throw FieldError("tool_choice",
                   fmt::format("'tool_choice' names '{}', which is not among the 'tools'", name));
}

[[noreturn]] void refuse_functions(std::string_view key) {
  invalid(fmt::format("'{}' is no longer spoken; give 'tools' and 'tool_choice'", key));
}

bool read_chat_field(std::string_view key, ondemand::value value, ChatRequest& chat,
                     std::string& tool_name) {
  if (key == "messages") {
    chat.messages = take_array_text(value, key);
  } else if (key == "tools") {
    chat.tools = take_array_text(value, key);
  } else if (key == "tool_choice") {
    tool_name = read_tool_choice(value, chat);
  } else if (key == "parallel_tool_calls") {
    chat.parallel_tool_calls = take_bool(value, quoted(key));
  } else if (key == "chat_template_kwargs") {
    chat.template_arguments = take_object_text(value, key);
  } else if (key == "functions" || key == "function_call") {
    refuse_functions(key);
  } else {
    return false;
  }
  return true;
}

}  // namespace

ChatRequest parse_chat_request(std::string_view body, std::size_t spare) {
  ChatRequest chat;
  bool chances = false;
  int likeliest = -1;
  std::string tool_name;
  read_body(body, spare, [&](std::string_view key, ondemand::value value) {
    if (key == "logprobs") {
      chances = take_bool(value, quoted(key));
    } else if (key == "top_logprobs") {
      likeliest = static_cast<int>(take_int_in(value, key, 0, kChancesMax));
    } else if (!read_chat_field(key, value, chat, tool_name)) {
      read_wish(key, value, chat.wishes);
    }
  });
  if (chat.messages.empty()) throw FieldError("messages", "the request has no 'messages'");
  if (!tool_name.empty()) chat.tools = only_tool(chat.tools, tool_name);
  if (likeliest >= 0 && !chances)
    throw FieldError("top_logprobs", "'top_logprobs' needs \"logprobs\": true");
  if (chances) chat.wishes.completion.chances = std::max(likeliest, 0);
  check_wishes(chat.wishes);
  return chat;
}

TextRequest parse_text_request(std::string_view body, std::size_t spare) {
  TextRequest text;
  std::int64_t best_of = -1;
  read_body(body, spare, [&](std::string_view key, ondemand::value value) {
    if (key == "prompt") {
      text.prompts = read_prompts(value);
    } else if (key == "echo") {
      text.echo = take_bool(value, quoted(key));
    } else if (key == "logprobs") {
      text.wishes.completion.chances = static_cast<int>(take_int_in(value, key, 0, kChancesMax));
    } else if (key == "best_of") {
      best_of = take_int_in(value, key, 1, kChoicesMax);
    } else if (key == "suffix") {
      if (!take_string(value, quoted(key)).empty())
        invalid("'suffix' is not supported: the model goes on behind the prompt only");
    } else {
      read_wish(key, value, text.wishes);
    }
  });
  if (text.prompts.empty()) throw FieldError("prompt", "the request has no 'prompt'");
  if (text.prompts.size() * static_cast<std::size_t>(text.wishes.n) > kAnswersMax) {
    throw FieldError(
        "n", fmt::format("a request asks for at most {} answers: prompts times 'n'", kAnswersMax));
  }
  if (best_of > 0 && best_of != text.wishes.n)
    throw FieldError("best_of", "'best_of' is not supported, unless it equals 'n'");
  if (text.echo && text.wishes.completion.chances >= 0)
    throw FieldError("logprobs", "'logprobs' are of the answer only: leave 'echo' out");
  check_wishes(text.wishes);
  return text;
}

}  // namespace baozi::api
