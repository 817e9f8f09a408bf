// POST /v1/responses, for text: its items become the messages of chat completions.
#include "baozi/api/json_writer.h"
#include "baozi/api/openai_fields.h"
#include "baozi/api/openai_parse.h"

namespace baozi::api {
namespace {

constexpr std::string_view kTextOnly = "this server takes and gives text only";

void append_message(std::string& messages, std::string_view role, std::string_view text) {
  if (!messages.empty()) messages += ',';
  messages += R"({"role":)";
  append_json_string(messages, role);
  messages += R"(,"content":)";
  append_json_string(messages, text);
  messages += '}';
}

// A string, or parts of type input_text or output_text.
std::string take_content(ondemand::value value) {
  if (is_string(value)) return std::string(take_string(value, "an item's 'content'"));
  std::string content;
  for (auto item : take_array(value, "an item's 'content'")) {
    std::string type;
    std::string text;
    for (auto inner : take_object(take(std::move(item)), "a part of 'content'")) {
      ondemand::field field = take(std::move(inner));
      const std::string_view key = take_key(field);
      if (key == "type") type = take_string(field.value(), "a part's 'type'");
      if (key == "text") text = take_string(field.value(), "a part's 'text'");
    }
    if (type != "input_text" && type != "output_text" && type != "text")
      invalid(fmt::format("'input' has a part of type \"{}\": {}", type, kTextOnly));
    content += text;
  }
  return content;
}

void append_item(std::string& messages, ondemand::object item) {
  std::string type = "message";
  std::string role;
  std::string content;
  for (auto inner : item) {
    ondemand::field field = take(std::move(inner));
    const std::string_view key = take_key(field);
    if (key == "type") {
      type = take_string(field.value(), "an item's 'type'");
    } else if (key == "role") {
      role = take_string(field.value(), "an item's 'role'");
    } else if (key == "content") {
      content = take_content(field.value());
    }
  }
  if (type != "message")
    invalid(fmt::format("'input' has an item of type \"{}\": {}", type, kTextOnly));
  if (role == "developer") role = "system";  // templates know that name
  if (role != "user" && role != "assistant" && role != "system") {
    invalid(fmt::format(
        "an item's 'role' is \"user\", \"assistant\", \"system\" or \"developer\", not \"{}\"",
        role));
  }
  append_message(messages, role, content);
}

// The messages with commas between them.
std::string read_input(ondemand::value value) {
  std::string messages;
  if (is_string(value)) {
    append_message(messages, "user", take_string(value, "'input'"));
    return messages;
  }
  for (auto item : take_array(value, "'input'")) {
    append_item(messages, take_object(take(std::move(item)), "an entry of 'input'"));
  }
  return messages;
}

void read_text(ondemand::value value, ResponsesRequest& request) {
  for (auto item : take_object(value, "'text'")) {
    ondemand::field field = take(std::move(item));
    const std::string_view key = take_key(field);
    ondemand::value part = field.value();
    if (key != "format" || is_null(part)) continue;
    request.format = take_object_text(part, key);
    JsonText format(request.format, 0);
    read_response_format(format.object(), request.chat.wishes);
  }
}

llm::Overflow take_truncation(ondemand::value value) {
  const std::string_view name = take_string(value, "'truncation'");
  if (name == "auto") return llm::Overflow::kTruncate;
  if (name == "disabled") return llm::Overflow::kRefuse;
  invalid(fmt::format("'truncation' is \"auto\" or \"disabled\", not \"{}\"", name));
}

// What would need what this server does not do.
bool refuse_field(std::string_view key, ondemand::value value) {
  if (key == "previous_response_id") {
    invalid("'previous_response_id' is not known: responses are not stored; send the conversation");
  } else if (key == "tools") {
    if (take_array_text(value, key).find('{') != std::string::npos)
      invalid("'tools' are taken by /v1/chat/completions only");
  } else if (key == "background") {
    if (take_bool(value, quoted(key))) invalid("'background' is not supported");
  } else {
    return false;
  }
  return true;
}

}  // namespace

ResponsesRequest parse_responses_request(std::string_view body, std::size_t spare) {
  ResponsesRequest request;
  TextWishes& wishes = request.chat.wishes;
  std::string messages;
  read_body(body, spare, [&](std::string_view key, ondemand::value value) {
    if (key == "input") {
      messages = read_input(value);
    } else if (key == "instructions") {
      request.instructions = take_string(value, quoted(key));
    } else if (key == "max_output_tokens") {
      wishes.completion.max_tokens = static_cast<int>(take_int_in(value, key, 1, 1 << 30));
    } else if (key == "text") {
      read_text(value, request);
    } else if (key == "truncation") {
      wishes.completion.overflow = take_truncation(value);
    } else if (!refuse_field(key, value)) {
      read_wish(key, value, wishes);
    }
  });
  if (messages.empty()) throw FieldError("input", "the request has no 'input'");
  if (wishes.n != 1) throw FieldError("n", "a response is one answer; leave 'n' out");
  std::string instructions;
  if (!request.instructions.empty()) {
    append_message(instructions, "system", request.instructions);
    instructions += ',';
  }
  request.chat.messages = fmt::format("[{}{}]", instructions, messages);
  check_wishes(wishes);
  return request;
}

}  // namespace baozi::api
