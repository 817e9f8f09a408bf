// Sampling by libllama's samplers. See language.h.
#pragma once

#include <memory>

#include "baozi/engine/language.h"
#include "baozi/engine/llama/llama_model.h"

namespace baozi::engine {

// Errors: kInvalidArgument.
std::unique_ptr<Sampler> create_llama_sampler(LlamaModelHandle model, const Sampling& sampling);

}  // namespace baozi::engine
