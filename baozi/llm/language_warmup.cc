#include "baozi/llm/language_warmup.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/when_all.h"
#include "baozi/coro/with_deadline.h"

namespace baozi::llm {

using engine::Token;
using model::WarmupReport;
using model::WarmupRun;

namespace {

constexpr std::array<std::size_t, 3> kPromptTokens{8, 64, 256};
constexpr int kAnswerTokens = 4;
constexpr int kBehindAll = -1'000'000;  // priority
constexpr Duration kWayLook = std::chrono::milliseconds(1);
constexpr std::string_view kText =
    "Steam rises from the trays before the doors open, the regulars find their tables, and ten "
    "more trays are on the stove when the street fills up.";

}  // namespace

LanguageWarmup::LanguageWarmup(std::shared_ptr<LanguageServable> servable,
                               model::WarmupLimits limits)
    : servable_(std::move(servable)),
      limits_(std::move(limits)),
      words_(servable_->language().tokenize(kText, false, false)) {
  const auto window = static_cast<std::size_t>(std::max(servable_->window(), 0));
  for (const std::size_t length : kPromptTokens) {
    if (!words_.empty() && 2 * (length + kAnswerTokens) <= window) lengths_.push_back(length);
  }
}

// Prompts begin differently, so that none is found in the memory and skipped.
CompletionRequest LanguageWarmup::request(std::size_t length, int number) const {
  CompletionRequest asked;
  const std::size_t first = length + static_cast<std::size_t>(number);
  for (std::size_t i = 0; i < length; ++i)
    asked.prompt.push_back(words_[(first + i) % words_.size()]);
  asked.max_tokens = kAnswerTokens;
  asked.sampling.temperature = 0;
  asked.ignore_end = true;
  asked.chances = 0;
  asked.priority = kBehindAll;
  asked.client = "warm-up";
  asked.keep = false;
  return asked;
}

Task<void> LanguageWarmup::answer(LanguageWarmup* self, std::size_t length, int number) {
  const std::unique_ptr<Completion> answer = self->servable_->start(self->request(length, number));
  for (;;) {
    const CompletionPiece piece = co_await answer->next();
    for (const TokenChances& token : piece.chances) {
      if (!std::isnan(token.picked.logprob)) continue;
      throw Error(Code::kFailedPrecondition,
                  "warm-up: the model's probabilities are no numbers (NaN); is its file damaged?");
    }
    if (piece.finish) co_return;
  }
}

Task<Duration> LanguageWarmup::answer_all(LanguageWarmup* self, std::size_t length, int copies) {
  const Time begin = Clock::now();
  std::vector<Task<void>> answers;
  for (int i = 0; i < copies; ++i) answers.push_back(answer(self, length, i));
  co_await when_all(std::move(answers));
  co_return Clock::now() - begin;
}

Task<void> LanguageWarmup::prove(LanguageWarmup* self) {
  if (self->lengths_.empty()) co_return;
  Task<Duration> bounded = with_deadline(answer_all(self, self->lengths_.front(), 1),
                                         Clock::now() + self->limits_.budget);
  try {
    co_await std::move(bounded);
  } catch (const Error& error) {
    if (error.code() != Code::kDeadlineExceeded) throw;
    self->hopeless_ = true;
  }
}

Task<WarmupReport> LanguageWarmup::heat(LanguageWarmup* self) {
  const int running_max = std::max(self->servable_->load().running_max, 1);
  // The shortest prompt by as many callers as can be; the longer ones alone, as if they filled it.
  std::vector<int> rows(self->lengths_.size(), running_max);
  if (!rows.empty()) rows.front() = 1;
  model::WarmupPlan plan(1, rows, running_max, self->limits_.budget);
  // With no time left all of the plan is skipped, and the report says so.
  const Time began = self->hopeless_ ? Clock::now() - self->limits_.budget : Clock::now();
  const Time end = began + self->limits_.budget;
  for (;;) {
    while (self->servable_->load().running + self->servable_->load().waiting > 0 &&
           Clock::now() < end) {
      co_await sleep_for(kWayLook);
    }
    const Duration elapsed = Clock::now() - began;
    const std::optional<WarmupRun> run = plan.next(0, elapsed);
    if (self->limits_.progress) self->limits_.progress(plan.progress(elapsed));
    if (!run) break;
    const std::size_t length = self->lengths_[run->shape];
    std::optional<Duration> took;
    try {
      Task<Duration> bounded = with_deadline(answer_all(self, length, run->copies), end);
      took = co_await std::move(bounded);
    } catch (const Error& error) {
      if (error.code() != Code::kDeadlineExceeded) throw;
    }
    if (took) plan.took(0, *run, *took);
  }
  co_return plan.report();
}

}  // namespace baozi::llm
