#include "apps/language.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "baozi/base/clock.h"
#include "baozi/engine/engine.h"

namespace baozi::apps {
namespace {

volatile std::sig_atomic_t interrupted = 0;

// A share that is shown only when loading takes long enough to be wondered about, on a terminal.
class LoadProgress {
 public:
  void show(float share) {
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

llm::GenerateOptions AnswerOptions::generation() const {
  llm::GenerateOptions generation;
  generation.max_tokens = max_tokens;
  generation.sampling.temperature = temperature;
  generation.sampling.seed = seed;
  return generation;
}

void add_answer_options(CLI::App& command, AnswerOptions& options) {
  const std::string group = "Language models";
  command.add_option("--max-tokens", options.max_tokens, "The longest answer")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str()
      ->group(group);
  command.add_option("--temperature", options.temperature, "0: always the most likely word")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str()
      ->group(group);
  command.add_option("--seed", options.seed, "The same seed gives the same answer")
      ->capture_default_str()
      ->group(group);
  command.add_option("--context", options.context, "Tokens of prompt and answer; 0: up to 4096")
      ->check(CLI::Range(0, 10'000'000))
      ->capture_default_str()
      ->group(group);
}

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

std::shared_ptr<engine::LanguageModel> open_language(const std::filesystem::path& file,
                                                     const AnswerOptions& options) {
  LoadProgress progress;
  engine::LanguageOptions language;
  language.context = options.context;
  language.sequences = 1;
  language.progress = [&progress](float share) { progress.show(share); };
  std::shared_ptr<engine::LanguageModel> model =
      engine::engine_for(file).load_language(file, language, {});
  progress.done();
  return model;
}

Interrupts::Interrupts() {
  struct sigaction action{};
  action.sa_handler = [](int) { interrupted = 1; };
  sigaction(SIGINT, &action, nullptr);  // without SA_RESTART: a read ends
}

Interrupts::~Interrupts() { std::signal(SIGINT, SIG_DFL); }

bool Interrupts::take() noexcept {
  const bool was = interrupted != 0;
  interrupted = 0;
  return was;
}

void print_now(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace baozi::apps
