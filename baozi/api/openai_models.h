// The language models of a repository as OpenAI's API lists them, and by which name a request finds
// one.
//
// Thread safety: free functions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "baozi/llm/language_servable.h"
#include "baozi/model/repository.h"
#include "baozi/model/servable.h"

namespace baozi::api {

// {"object":"list","data":[…]}: those that are ready, on their way, or failed.
std::string format_models(const model::Repository& repository, std::int64_t created);
// One of them; nothing when `name` is no language model, as far as is known.
std::optional<std::string> format_model(const model::Repository& repository, std::string_view name,
                                        std::int64_t created);

struct LanguageChoice {
  std::shared_ptr<llm::LanguageServable> servable;
  int adapter = 0;  // of its adapters(), from 1; 0: none
};

// `name` is a model's, or an adapter's; "" means the only model of its kind. Errors: FieldError
// kNotFound with OpenAI's code, and kInvalidArgument when the name leaves a choice or is of another
// kind; kUnavailable (not ready).
LanguageChoice find_language_model(const model::Repository& repository, const std::string& name);
// A servable that makes a vector of a text: one input of strings [n], one output of numbers [n,d].
std::shared_ptr<model::Servable> find_embedding_model(const model::Repository& repository,
                                                      const std::string& name);
bool is_embedding_model(const model::Servable& servable);

}  // namespace baozi::api
