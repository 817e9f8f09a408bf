#include "baozi/llm/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/llm/thread_pace.h"
#include "baozi/llm/utf8_stream.h"

namespace baozi::llm {
namespace {

using engine::Step;
using engine::Token;

constexpr std::size_t kChunk = 256;  // prompt tokens a step, between two looks at the stop token

// Decodes the prompt from position `first` on. The index of the step whose logits follow it.
std::size_t read_prompt(engine::LanguageContext& context, std::span<const Token> prompt,
                        std::size_t first, const StopToken& stop) {
  std::vector<Step> steps;
  const std::size_t chunk = std::min(kChunk, static_cast<std::size_t>(context.steps_max()));
  for (; first < prompt.size(); first += chunk) {
    const std::size_t last = std::min(first + chunk, prompt.size());
    steps.clear();
    for (std::size_t i = first; i < last; ++i)
      steps.push_back({prompt[i], static_cast<int>(i), 0, i + 1 == prompt.size()});
    context.decode(steps, stop);
  }
  return steps.size() - 1;
}

// Samples and decodes until the answer ends.
void write_answer(const engine::LanguageModel& model, engine::LanguageContext& context,
                  engine::Sampler& sampler, Token next, int position,
                  const GenerateOptions& options, const std::function<void(std::string_view)>& give,
                  const StopToken& stop, Generation& made) {
  ThreadPace threads(context.threads_max());
  while (!model.ends(next)) {
    made.tokens.push_back(next);
    give(model.piece(next, false));
    if (static_cast<int>(made.tokens.size()) >= options.max_tokens ||
        position >= context.capacity()) {
      made.finish = Finish::kLength;
      return;
    }
    const Step step{next, position++, 0, true};
    const Time begin = Clock::now();
    const Duration cpu_begin = processor_time();
    context.use_threads(threads.threads());
    context.decode({&step, 1}, stop);
    const Time now = Clock::now();
    threads.took(1, now - begin, processor_time() - cpu_begin, now);
    next = sampler.sample(context.logits(0));
  }
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
  // The last one is computed in any case: its logits are what the answer begins with.
  const int known = std::clamp(options.known_tokens, 0, static_cast<int>(prompt.size()) - 1);
  context.forget(0, known, -1);
  const std::size_t last = read_prompt(context, prompt, static_cast<std::size_t>(known), stop);
  for (const Token token : prompt) sampler->accept(token);

  Generation made;
  Utf8Stream characters;
  const auto give_text = [&](const std::string& text) {
    if (text.empty()) return;
    made.text += text;
    if (on_text) on_text(text);
  };
  const auto give = [&](std::string_view bytes) { give_text(characters.add(bytes)); };
  try {
    const Token first = sampler->sample(context.logits(last));
    write_answer(model, context, *sampler, first, static_cast<int>(prompt.size()), options, give,
                 stop, made);
  } catch (...) {
    context.forget(0, static_cast<int>(prompt.size()), -1);
    throw;
  }
  give_text(characters.finish());
  return made;
}

}  // namespace baozi::llm
