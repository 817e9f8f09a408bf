// The KV memory and the compute buffers of a GGUF model. See language.h.
#pragma once

#include <memory>

#include "baozi/engine/language.h"
#include "baozi/engine/llama/llama_model.h"

namespace baozi::engine {

// Errors: kResourceExhausted, kInvalidArgument.
std::unique_ptr<LanguageContext> create_llama_context(LlamaModelHandle model,
                                                      LlamaAdapters adapters,
                                                      const LanguageOptions& options);

}  // namespace baozi::engine
