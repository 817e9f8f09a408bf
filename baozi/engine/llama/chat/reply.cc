#include "baozi/engine/llama/chat/reply.h"

#include <exception>
#include <optional>
#include <string>

#include "baozi/engine/llama/chat/json_text.h"

namespace baozi::engine {
namespace {

// The parser is recursive: an answer of opening braces must not exhaust the stack.
constexpr int kNestingMax = 200;

std::optional<ChatReply> parse(const CommonReplyFormat& format, std::string_view text,
                               bool partial) {
  if (json_nesting(text) > kNestingMax) return std::nullopt;
  try {
    const common_chat_msg message = common_chat_parse(std::string(text), partial, format.parser);
    ChatReply reply{message.render_content(), message.reasoning_content, {}};
    for (const common_chat_tool_call& call : message.tool_calls)
      reply.tool_calls.push_back({call.id, call.name, call.arguments});
    return reply;
  } catch (const std::exception&) {  // the answer is not of the format
    return std::nullopt;
  }
}

// The parser drops an end that only began as a call; it is text.
void restore_end(std::string_view text, ChatReply& reply) {
  std::size_t after = 0;
  if (!reply.reasoning.empty()) {
    after = text.find(reply.reasoning);
    if (after == std::string_view::npos) return;
    after += reply.reasoning.size();
    if (reply.content.empty()) return;  // what follows may be the marker that ends the reasoning
  }
  const std::size_t begin = text.find(reply.content, after);
  if (begin != std::string_view::npos) reply.content = text.substr(begin);
}

// Takes the marker off. False: the text may yet become it.
bool take_marker(std::string_view& text, std::string_view marker, bool whole) {
  if (text.starts_with(marker)) {
    text.remove_prefix(marker.size());
  } else if (!whole && marker.starts_with(text)) {
    return false;
  }
  return true;
}

}  // namespace

ChatReply read_common_reply(const CommonReplyFormat& format, std::string_view text, bool whole) {
  std::string_view rest = text;
  if (!format.ignored_start.empty() && !take_marker(rest, format.ignored_start, whole)) return {};
  std::optional<ChatReply> reply = parse(format, rest, !whole);
  if (!whole) return reply.value_or(ChatReply{});
  // One that was cut off in a call.
  if (!reply.has_value()) reply = parse(format, rest, true);
  if (!reply.has_value()) return {std::string(text), "", {}};
  // The parser opens the arguments with the name already.
  if (!reply->tool_calls.empty() && reply->tool_calls.back().arguments == "{")
    reply->tool_calls.pop_back();
  if (reply->tool_calls.empty()) restore_end(rest, *reply);
  return *reply;
}

}  // namespace baozi::engine
