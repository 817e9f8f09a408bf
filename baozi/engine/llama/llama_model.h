// A loaded GGUF model. See language.h.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "baozi/engine/language.h"

struct llama_adapter_lora;
struct llama_model;

namespace baozi::engine {

// `facts` and `options` as read_gguf_facts left them. Errors: kInvalidArgument (libllama refuses
// the file; says why), kCancelled.
std::shared_ptr<LanguageModel> load_llama_model(const std::filesystem::path& file,
                                                LanguageFacts facts, LanguageOptions options,
                                                const StopToken& stop);

struct FreeLlamaModel {
  void operator()(llama_model* model) const noexcept;
};
using LlamaModelHandle = std::shared_ptr<llama_model>;

// As LanguageOptions::adapters; they live as long as the model.
using LlamaAdapters = std::vector<llama_adapter_lora*>;

}  // namespace baozi::engine
