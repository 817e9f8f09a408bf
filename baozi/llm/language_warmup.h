// LanguageWarmup: warms a language model up through its scheduler: a short prompt with a few tokens
// of answer, for one caller and for 2, 4 … as many as it answers at once, and two longer prompts.
// The first run also brings the mapped weights into memory. Nothing of it stays in KV memory, in
// what is saved to disk, or in statistics, and real requests go first.
//
//   LanguageWarmup warmup(served, {.budget = 500ms});
//
// Thread safety: as model/warmup.h says.
#pragma once

#include <memory>
#include <vector>

#include "baozi/llm/language_servable.h"
#include "baozi/model/warmup.h"

namespace baozi::llm {

class LanguageWarmup final : public model::Warmup {
 public:
  LanguageWarmup(std::shared_ptr<LanguageServable> servable, model::WarmupLimits limits);

  // Errors: kFailedPrecondition when the model's probabilities are no numbers, and what it throws.
  Task<void> prove() override { return prove(this); }
  Task<model::WarmupReport> heat() override { return heat(this); }

 private:
  static Task<void> prove(LanguageWarmup* self);
  static Task<model::WarmupReport> heat(LanguageWarmup* self);
  // What it took until the last of them had its answer.
  static Task<Duration> answer_all(LanguageWarmup* self, std::size_t length, int copies);
  static Task<void> answer(LanguageWarmup* self, std::size_t length, int number);

  CompletionRequest request(std::size_t length, int number) const;

  const std::shared_ptr<LanguageServable> servable_;
  const model::WarmupLimits limits_;
  const std::vector<engine::Token> words_;  // what prompts are made of
  std::vector<std::size_t> lengths_;        // of prompts, in tokens; the shortest first
  bool hopeless_ = false;                   // the shortest takes more than the budget
};

}  // namespace baozi::llm
