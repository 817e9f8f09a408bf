// What a GGUF file says about its model, read without loading it, and the memory it will take.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
#pragma once

#include <filesystem>

#include "baozi/engine/language.h"

namespace baozi::engine {

// Fills in options.context when it is 0. Errors: kNotFound, kInvalidArgument (not a GGUF file,
// damaged, cut off, or not of a language model; says which and why).
LanguageFacts read_gguf_facts(const std::filesystem::path& file, LanguageOptions& options);

}  // namespace baozi::engine
