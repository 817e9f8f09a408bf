// The chat templates and JSON schemas of llama.cpp's C++ library (libllama-common), which takes
// longer to open than libllama itself: a shared object of its own, libbaozi_llama_chat.so, opened
// on first use.
//
//   auto conversations = llama_chat_library().open(model, jinja);
//   ChatPrompt prompt = conversations->chat(input);
//
// Thread safety: all functions.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "baozi/engine/language.h"

struct llama_model;

namespace baozi::engine {

// One chat template.
class LlamaChat {
 public:
  virtual ~LlamaChat() = default;

  // As in LanguageModel.
  virtual std::string text(std::span<const ChatMessage> messages, bool answer) const = 0;
  virtual ChatPrompt chat(const ChatInput& input) const = 0;
  virtual ChatReply read_reply(const ReplyFormat& format, std::string_view text,
                               bool whole) const = 0;
};

class LlamaChatLibrary {
 public:
  virtual ~LlamaChatLibrary() = default;

  // `model` outlives the result. Errors: kFailedPrecondition (the template cannot be used).
  virtual std::unique_ptr<LlamaChat> open(const llama_model* model,
                                          const std::string& jinja) const = 0;
  // As in LanguageModel.
  virtual std::string grammar_of_schema(std::string_view json_schema) const = 0;
};

// What the shared object exports; never null.
using LlamaChatLibraryFunction = const LlamaChatLibrary*();

// Whether this build has it, and it can be opened.
bool has_llama_chat_library();
// Errors: kFailedPrecondition (it has not; says why).
const LlamaChatLibrary& llama_chat_library();

}  // namespace baozi::engine
