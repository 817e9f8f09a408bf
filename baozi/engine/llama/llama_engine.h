// LlamaEngine: GGUF language models by llama.cpp (https://github.com/ggml-org/llama.cpp), over
// libllama's public C API. The plug-in "llama".
#pragma once

#include "baozi/engine/engine.h"
#include "baozi/engine/language.h"

namespace baozi::engine {

class LlamaEngine final : public Engine {
 public:
  // Errors: kFailedPrecondition.
  LlamaEngine();

  std::string_view name() const noexcept override { return "llama"; }
  std::string version() const override;
  bool accepts(const std::filesystem::path& file) const override;
  bool of_language() const noexcept override { return true; }
  // Always kUnimplemented: these models answer tokens with tokens, not tensors with tensors.
  std::shared_ptr<Model> load(const std::filesystem::path& file, const ModelOptions& options,
                              StopToken stop) override;
  std::shared_ptr<LanguageModel> load_language(const std::filesystem::path& file,
                                               const LanguageOptions& options,
                                               StopToken stop) override;
};

}  // namespace baozi::engine
