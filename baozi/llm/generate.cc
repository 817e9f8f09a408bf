#include "baozi/llm/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/llm/utf8_stream.h"

namespace baozi::llm {
namespace {

using engine::Step;
using engine::Token;

constexpr std::size_t kChunk = 256;  // prompt tokens a step, between two looks at the stop token

// The index of the step whose logits follow the prompt.
std::size_t read_prompt(engine::LanguageContext& context, std::span<const Token> prompt,
                        const StopToken& stop) {
  std::vector<Step> steps;
  for (std::size_t first = 0; first < prompt.size(); first += kChunk) {
    const std::size_t last = std::min(first + kChunk, prompt.size());
    steps.clear();
    for (std::size_t i = first; i < last; ++i)
      steps.push_back({prompt[i], static_cast<int>(i), 0, i + 1 == prompt.size()});
    context.decode(steps, stop);
  }
  return steps.size() - 1;
}

}  // namespace

Generation generate(const engine::LanguageModel& model, engine::LanguageContext& context,
                    std::span<const Token> prompt, const GenerateOptions& options,
                    const std::function<void(std::string_view)>& on_text, const StopToken& stop) {
  if (prompt.empty()) throw Error(Code::kInvalidArgument, "the prompt is empty");
  if (prompt.size() >= static_cast<std::size_t>(context.capacity())) {
    throw Error(Code::kInvalidArgument,
                fmt::format("the prompt has {} tokens, but the context holds {}, the answer "
                            "included; shorten it, or raise the context",
                            prompt.size(), context.capacity()));
  }
  const std::unique_ptr<engine::Sampler> sampler = model.create_sampler(options.sampling);
  context.forget(0, 0, -1);
  const std::size_t last = read_prompt(context, prompt, stop);
  for (const Token token : prompt) sampler->accept(token);

  Generation made;
  made.prompt_tokens = static_cast<int>(prompt.size());
  Utf8Stream characters;
  const auto give = [&](const std::string& text) {
    if (text.empty()) return;
    made.text += text;
    if (on_text) on_text(text);
  };
  int position = made.prompt_tokens;
  Token next = sampler->sample(context.logits(last));
  while (!model.ends(next)) {
    ++made.tokens;
    give(characters.add(model.piece(next, false)));
    if (made.tokens >= options.max_tokens || position >= context.capacity()) {
      made.finish = Finish::kLength;
      break;
    }
    const Step step{next, position++, 0, true};
    context.decode({&step, 1}, stop);
    next = sampler->sample(context.logits(0));
  }
  give(characters.finish());
  return made;
}

}  // namespace baozi::llm
