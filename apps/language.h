// What `baozi run` and `baozi chat` share: a language model opened from the command line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "baozi/engine/language.h"
#include "baozi/llm/generate.h"
#include "baozi/serve/config.h"

namespace CLI {
class App;
}

namespace baozi::apps {

struct AnswerOptions {
  int max_tokens = 512;
  float temperature = 0.8F;
  std::uint32_t seed = 0;
  int context = 0;  // 0: the engine's default

  llm::GenerateOptions generation() const;
};

// Adds --max-tokens and the others.
void add_answer_options(CLI::App& command, AnswerOptions& options);

// The file of the model that `name` calls (or of the only one, when it is empty), in its highest
// version, if that is a language model; otherwise empty.
std::filesystem::path language_model(const serve::Config& config, const std::string& name);

// For one conversation. Shows progress on a terminal when it takes long.
std::shared_ptr<engine::LanguageModel> open_language(const std::filesystem::path& file,
                                                     const AnswerOptions& options);

// While it lives, Ctrl-C sets a flag instead of ending the program, and interrupts what reads from
// a terminal.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // Whether it was pressed since the last call.
  static bool take() noexcept;
};

// To standard output, at once.
void print_now(std::string_view text);

}  // namespace baozi::apps
