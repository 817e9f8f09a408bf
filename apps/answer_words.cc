#include "apps/answer_words.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string_view>
#include <vector>

#include "baozi/base/clock.h"
#include "baozi/base/error.h"
#include "baozi/coro/stop.h"
#include "baozi/engine/engine.h"
#include "baozi/engine/language.h"
#include "baozi/llm/generate.h"

namespace baozi::apps {
namespace {

constexpr int kInterrupted = 128 + SIGINT;  // as a shell reports it

volatile std::sig_atomic_t interrupted = 0;

// A stop token may not be touched in a signal handler; the answer looks at the flag between tokens.
class Interrupts {
 public:
  Interrupts() : before_(std::signal(SIGINT, [](int) { interrupted = 1; })) {}
  ~Interrupts() { std::signal(SIGINT, before_); }
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

 private:
  void (*before_)(int);
};

// A bar that comes only when loading takes long enough to be wondered about, on a terminal.
class LoadProgress {
 public:
  void operator()(float share) {
    if (isatty(STDERR_FILENO) == 0) return;
    if (!shown_ && Clock::now() - start_ < std::chrono::milliseconds(500)) return;
    shown_ = true;
    fmt::print(stderr, "\rloading {:3.0f} %", 100 * share);
  }
  void done() const {
    if (shown_) fmt::print(stderr, "\r             \r");
  }

 private:
  const Time start_ = Clock::now();
  bool shown_ = false;
};

}  // namespace

std::filesystem::path language_model(const serve::Config& config, const std::string& name) {
  const auto chosen = std::ranges::find_if(config.models, [&](const serve::ModelConfig& model) {
    return name.empty() ? config.models.size() == 1 && config.pipelines.empty()
                        : model.name == name;
  });
  if (chosen == config.models.end()) return {};
  const std::filesystem::path file = serve::find_versions(chosen->path).back().file;
  // By the name first, so that no engine is opened for the others.
  if (file.extension() != ".gguf" || !engine::engine_for(file).of_language()) return {};
  return file;
}

int answer_words(const std::filesystem::path& file, const std::string& words,
                 const AnswerOptions& options) {
  LoadProgress progress;
  engine::LanguageOptions language;
  language.context = options.context;
  language.sequences = 1;
  language.progress = [&progress](float share) { progress(share); };
  const std::shared_ptr<engine::LanguageModel> model =
      engine::engine_for(file).load_language(file, language, {});
  progress.done();
  const std::unique_ptr<engine::LanguageContext> context = model->create_context();
  const bool chat = !options.raw && !model->facts().chat_template.empty();
  const std::vector<engine::ChatMessage> turn{{"user", words}};
  const std::vector<engine::Token> prompt =
      model->tokenize(chat ? model->chat_text(turn, true) : words, true, chat);

  llm::GenerateOptions generation;
  generation.max_tokens = options.max_tokens;
  generation.sampling.temperature = options.temperature;
  generation.sampling.seed = options.seed;
  const Interrupts interrupts;
  StopSource stop;
  const auto print = [&stop](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    if (interrupted != 0) stop.request_stop();
  };
  try {
    llm::generate(*model, *context, prompt, generation, print, stop.token());
  } catch (const Error& error) {
    if (error.code() != Code::kCancelled) throw;
    fmt::print("\n");
    return kInterrupted;
  }
  fmt::print("\n");
  return 0;
}

}  // namespace baozi::apps
