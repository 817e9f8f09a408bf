#include "baozi/llm/chat.h"

#include <algorithm>
#include <utility>

#include "baozi/base/error.h"

namespace baozi::llm {

using engine::Token;

Chat::Chat(const engine::LanguageModel& model, engine::LanguageContext& context,
           ChatOptions options)
    : model_(model), context_(context), options_(std::move(options)) {
  clear();
}

void Chat::clear() {
  messages_.clear();
  if (!options_.system.empty()) messages_.push_back({"system", options_.system});
}

std::string Chat::answer(const std::string& words,
                         const std::function<void(std::string_view)>& on_text,
                         const StopToken& stop) {
  messages_.push_back({"user", words});
  std::string text;
  const auto give = [&](std::string_view part) {
    text += part;
    if (on_text) on_text(part);
  };
  try {
    const std::vector<Token> prompt =
        model_.tokenize(model_.chat_text(messages_, true), true, true);
    GenerateOptions generation = options_.generation;
    const auto differs = std::ranges::mismatch(prompt, read_).in1;
    generation.known_tokens = static_cast<int>(differs - prompt.begin());
    read_.resize(static_cast<std::size_t>(generation.known_tokens));  // until all went well
    const Generation made = generate(model_, context_, prompt, generation, give, stop);
    read_ = prompt;
    read_.insert(read_.end(), made.tokens.begin(), made.tokens.end());
    if (made.finish == Finish::kLength) read_.pop_back();
  } catch (const Error& error) {
    if (error.code() == Code::kCancelled) {
      messages_.push_back({"assistant", text});
    } else {
      messages_.pop_back();
    }
    throw;
  }
  messages_.push_back({"assistant", text});
  return text;
}

}  // namespace baozi::llm
