// generate: one answer of a language model, token by token. For programs of one user, as `baozi
// run` is; it has the context for itself.
//
//   Generation answer = generate(*model, *context, tokens, {.max_tokens = 64}, print, stop);
//
// Thread safety: blocks; one call a context at a time.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/coro/stop.h"
#include "baozi/engine/language.h"
#include "baozi/llm/finish.h"

namespace baozi::llm {

struct GenerateOptions {
  int max_tokens = 512;  // of the answer
  int known_tokens = 0;  // the first of the prompt, which are in the context already
  engine::Sampling sampling = {};
};

struct Generation {
  std::string text;
  std::vector<engine::Token> tokens;  // of the answer, without the one that ends it
  Finish finish = Finish::kEnd;
};

// `on_text` gets the text as it comes, in whole characters. Afterwards, sequence 0 of the context
// holds the prompt and the answer (but for its last token, when it ended for its length), or after
// an error the prompt or a part of it. Errors: kInvalidArgument (an empty prompt,
// one that leaves no room for an answer, sampling that makes no sense), kCancelled,
// kDeadlineExceeded.
Generation generate(const engine::LanguageModel& model, engine::LanguageContext& context,
                    std::span<const engine::Token> prompt, const GenerateOptions& options,
                    const std::function<void(std::string_view)>& on_text, const StopToken& stop);

}  // namespace baozi::llm
