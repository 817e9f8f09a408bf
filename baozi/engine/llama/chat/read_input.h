// ChatInput → what llama.cpp's common library takes.
//
// Thread safety: free function.
#pragma once

#include <chat.h>

#include "baozi/engine/chat_format.h"

namespace baozi::engine {

// Errors: kInvalidArgument, naming the field, as "messages[2].content".
common_chat_templates_inputs read_chat_input(const ChatInput& input);

}  // namespace baozi::engine
