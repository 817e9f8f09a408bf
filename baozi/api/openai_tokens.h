// Embeddings and tokens: what OpenAI's and llama-server's clients ask for beside texts.
//
// Thread safety: free functions.
#pragma once

#include <string>

#include "baozi/api/openai_request.h"
#include "baozi/engine/language.h"
#include "baozi/model/servable.h"

namespace baozi::api {

// The texts for a servable that makes vectors. Errors: FieldError when another number of
// 'dimensions' is asked for than the servable says to have.
model::InferRequest embeddings_input(const EmbeddingsRequest& request,
                                     const model::Servable& servable);
// {"object":"list","data":[…],…}. Errors: FieldError ('dimensions'), kInternal (the output does not
// fit the request).
std::string format_embeddings(const EmbeddingsRequest& request, const model::Servable& servable,
                              const model::InferResponse& response);

// {"tokens":[…]}, each a number, or with its text.
std::string format_tokens(const TokenizeRequest& request, const engine::LanguageModel& model);
// {"content":"…"}. Errors: FieldError (no such token).
std::string format_content(const DetokenizeRequest& request, const engine::LanguageModel& model);

}  // namespace baozi::api
