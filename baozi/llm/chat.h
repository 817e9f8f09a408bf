// Chat: a conversation with a language model that keeps what the model has read, so that each turn
// computes its own words only.
//
//   Chat chat(*model, *context, {.system = "Be brief."});
//   chat.answer("Hello!", print, stop);
//
// Thread safety: blocks; one call at a time. The context is the chat's alone.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/coro/stop.h"
#include "baozi/engine/language.h"
#include "baozi/llm/generate.h"

namespace baozi::llm {

struct ChatOptions {
  std::string system = {};  // the first message; empty: none
  GenerateOptions generation = {};
};

class Chat {
 public:
  // `model` and `context` outlive it.
  Chat(const engine::LanguageModel& model, engine::LanguageContext& context, ChatOptions options);

  // The model's answer to `words`, which `on_text` gets as it comes. An answer that was stopped
  // (kCancelled) stays in the conversation as far as it came. Errors: as generate; after any other
  // error the conversation is as before.
  std::string answer(const std::string& words, const std::function<void(std::string_view)>& on_text,
                     const StopToken& stop);
  // Begins a new conversation.
  void clear();

  const std::vector<engine::ChatMessage>& messages() const noexcept { return messages_; }

 private:
  const engine::LanguageModel& model_;
  engine::LanguageContext& context_;
  const ChatOptions options_;
  std::vector<engine::ChatMessage> messages_;
  std::vector<engine::Token> read_;  // what the context holds
};

}  // namespace baozi::llm
