// `baozi run MODEL.gguf "words"`: a language model's answer, printed as it comes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "baozi/serve/config.h"

namespace baozi::apps {

struct AnswerOptions {
  int max_tokens = 512;
  float temperature = 0.8F;
  std::uint32_t seed = 0;
  int context = 0;   // 0: the engine's default
  bool raw = false;  // go on with the words as they are, without the model's chat template
};

// The file of the model that `name` calls (or of the only one, when it is empty), in its highest
// version, if that is a language model; otherwise empty.
std::filesystem::path language_model(const serve::Config& config, const std::string& name);

// Prints to standard output. Ctrl-C ends the answer with status 130.
int answer_words(const std::filesystem::path& file, const std::string& words,
                 const AnswerOptions& options);

}  // namespace baozi::apps
