#include "apps/answer_words.h"

#include <csignal>
#include <memory>
#include <string_view>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/coro/stop.h"

namespace baozi::apps {
namespace {

constexpr int kInterrupted = 128 + SIGINT;  // as a shell reports it

}  // namespace

int answer_words(const std::filesystem::path& file, const std::string& words,
                 const AnswerOptions& options, bool raw) {
  const std::shared_ptr<engine::LanguageModel> model = open_language(file, options);
  const std::unique_ptr<engine::LanguageContext> context = model->create_context();
  const bool chat = !raw && !model->facts().chat_template.empty();
  const std::vector<engine::ChatMessage> turn{{"user", words}};
  const std::vector<engine::Token> prompt =
      model->tokenize(chat ? model->chat_text(turn, true) : words, true, chat);
  const Interrupts interrupts;
  StopSource stop;
  const auto print = [&stop](std::string_view text) {
    print_now(text);
    if (Interrupts::take()) stop.request_stop();
  };
  int status = 0;
  try {
    llm::generate(*model, *context, prompt, options.generation(), print, stop.token());
  } catch (const Error& error) {
    if (error.code() != Code::kCancelled) throw;
    status = kInterrupted;
  }
  print_now("\n");
  return status;
}

}  // namespace baozi::apps
