#include "baozi/engine/llama/chat/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "baozi/base/error.h"

namespace baozi::engine {
namespace {

constexpr int kNestingMax = 100;
constexpr std::size_t kBriefMax = 400;
// The library looks at names with std::regex, which recurses with every character.
constexpr std::size_t kNameBytesMax = 256;

void check_names(std::string_view name, const common_json& value) {
  const auto check = [name](const std::string& text) {
    if (text.size() <= kNameBytesMax) return;
    throw Error(Code::kInvalidArgument,
                fmt::format("'{}' holds a name of {} bytes, but at most {} can be used", name,
                            text.size(), kNameBytesMax));
  };
  if (value.is_object()) {
    for (const auto& item : value.items()) {
      check(item.key());
      if (item.key() == "$ref" && item.value().is_string()) check(item.value().get<std::string>());
      check_names(name, item.value());
    }
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) check_names(name, value[i]);
  }
}

}  // namespace

int json_nesting(std::string_view text) noexcept {
  int depth = 0;
  int most = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      most = std::max(most, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return most;
}

std::string brief(std::string_view message) {
  if (message.starts_with('[')) {  // "[json.exception.parse_error.101] parse error …"
    const std::size_t end = message.find("] ");
    if (end != std::string_view::npos) message.remove_prefix(end + 2);
  }
  message = message.substr(0, message.find('\n'));
  return std::string(message.substr(0, kBriefMax));
}

common_json read_json(std::string_view name, std::string_view text) {
  if (json_nesting(text) > kNestingMax) {
    throw Error(Code::kInvalidArgument,
                fmt::format("'{}' is nested more than {} deep", name, kNestingMax));
  }
  try {
    return common_json::parse(std::string(text));
  } catch (const std::exception& error) {
    throw Error(Code::kInvalidArgument,
                fmt::format("'{}' is no valid JSON: {}", name, brief(error.what())));
  }
}

common_json read_schema_json(std::string_view name, std::string_view text) {
  common_json schema = read_json(name, text);
  check_names(name, schema);
  return schema;
}

}  // namespace baozi::engine
