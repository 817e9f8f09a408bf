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

#include "baozi/coro/stop.h"
#include "baozi/engine/language.h"

namespace baozi::llm {

struct GenerateOptions {
  int max_tokens = 512;  // of the answer
  engine::Sampling sampling = {};
};

enum class Finish : std::uint8_t {
  kEnd,     // the model ended it
  kLength,  // max_tokens, or the context is full
};

struct Generation {
  std::string text;
  int prompt_tokens = 0;
  int tokens = 0;  // of the answer
  Finish finish = Finish::kEnd;
};

// `on_text` gets the text as it comes, in whole characters. The context holds the prompt and the
// answer afterwards, in sequence 0, and nothing before. Errors: kInvalidArgument (an empty prompt,
// one that leaves no room for an answer, sampling that makes no sense), kCancelled,
// kDeadlineExceeded.
Generation generate(const engine::LanguageModel& model, engine::LanguageContext& context,
                    std::span<const engine::Token> prompt, const GenerateOptions& options,
                    const std::function<void(std::string_view)>& on_text, const StopToken& stop);

}  // namespace baozi::llm
