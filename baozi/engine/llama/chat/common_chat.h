// LlamaChat over llama.cpp's common library: its Jinja, and the parsers and grammars that it makes
// of a template.
//
// Thread safety: free functions.
#pragma once

#include <memory>
#include <string>

#include "baozi/engine/llama/llama_chat.h"

namespace baozi::engine {

// `model` may be null when there is a template: tests. Errors: kFailedPrecondition.
std::unique_ptr<LlamaChat> open_common_chat(const llama_model* model, const std::string& jinja);
// Errors: kInvalidArgument.
std::string common_grammar_of_schema(std::string_view json_schema);

}  // namespace baozi::engine
