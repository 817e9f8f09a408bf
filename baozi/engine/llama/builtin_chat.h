// The chat templates that libllama knows by heart, without running their Jinja: for plain
// conversations, and for builds without llama.cpp's common library (llama_chat.h).
//
// Thread safety: free functions.
#pragma once

#include <span>
#include <string>

#include "baozi/engine/language.h"

namespace baozi::engine {

// Empty: libllama does not know `jinja`.
std::string builtin_chat_text(const std::string& jinja, std::span<const ChatMessage> messages,
                              bool answer);
// Errors: kInvalidArgument, kFailedPrecondition (a template it does not know; tools, schemas and
// options, which take the common library).
ChatPrompt builtin_chat(const std::string& jinja, const ChatInput& input);

}  // namespace baozi::engine
