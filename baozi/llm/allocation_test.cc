// What a token costs in allocations of ours: none, in the steady state.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "baozi/coro/frame_pool.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/engine/counting_new.h"
#include "baozi/llm/scheduled_language.h"
#include "baozi/llm/test_language.h"

namespace baozi::llm {
namespace {

Task<int> read(std::unique_ptr<Completion> answer) {
  for (;;) {
    const CompletionPiece piece = co_await answer->next();
    if (piece.finish) break;
  }
  co_return answer->usage().completion_tokens;
}

// Allocations while an answer of so many tokens is written and read.
std::size_t allocations(ScheduledLanguage& model, int tokens) {
  Task<int> reading = read(model.start({.prompt = {'g', 'o', '?'}, .max_tokens = tokens}));
  const std::size_t before = counting_new::count();
  EXPECT_EQ(sync_wait(std::move(reading)), tokens);
  return counting_new::count() - before;
}

TEST(Allocation, ATokenCostsNone) {
  if (!frame_pool::kPooled) GTEST_SKIP() << "frames come from the heap under AddressSanitizer";
  LanguageScript script;
  script.answer = std::string(20'000, 'x');
  script.capacity = 40'000;
  script.keep_decodes = false;
  for (std::string* text : {&script.memory[0], &script.memory[1]}) text->reserve(40'000);
  ScheduledLanguage model(std::make_shared<ScriptedModel>(script), {.name = "scripted"});
  allocations(model, 1000);  // what is made once
  const std::size_t few = allocations(model, 1000);
  EXPECT_GT(few, 0u) << "a counter that cannot count would pass";
  const std::size_t many = allocations(model, 11'000);
  // A piece that is read late is a longer text, which allocates once it is past
  // the 15 characters a string holds in itself: at most one allocation for
  // every 16 tokens, however seldom the reader is let run.
  EXPECT_LT(many, few + 10'000 / 10) << "10,000 tokens more";
}

}  // namespace
}  // namespace baozi::llm
