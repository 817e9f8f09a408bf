// The answer of a model by the format that its chat template gave it.
//
// Thread safety: free function.
#pragma once

#include <chat.h>

#include <string_view>

#include "baozi/engine/chat_format.h"

namespace baozi::engine {

struct CommonReplyFormat final : ReplyFormat {
  common_chat_parser_params parser;
  std::string ignored_start;  // a marker before a call that the parser does not know; empty: none
};

// As LanguageModel::read_reply.
ChatReply read_common_reply(const CommonReplyFormat& format, std::string_view text, bool whole);

}  // namespace baozi::engine
