// `baozi run MODEL.gguf "words"`: a language model's answer, printed as it comes.
#pragma once

#include <filesystem>
#include <string>

#include "apps/language.h"

namespace baozi::apps {

// `raw`: goes on with the words as they are, without the model's chat template. Ctrl-C ends the
// answer, with status 130.
int answer_words(const std::filesystem::path& file, const std::string& words,
                 const AnswerOptions& options, bool raw);

}  // namespace baozi::apps
