#include "baozi/llm/language_warmup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "baozi/base/error.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/engine/scratch_folder.h"
#include "baozi/llm/scheduled_language.h"
#include "baozi/llm/test_language.h"

namespace baozi::llm {
namespace {

using namespace std::chrono_literals;
using testing::Contains;

class LanguageWarmupTest : public testing::Test {
 protected:
  std::shared_ptr<ScheduledLanguage> serve(ScheduledLanguageOptions options = {}) {
    options.name = "scripted";
    return std::make_shared<ScheduledLanguage>(std::make_shared<ScriptedModel>(script_), options,
                                               PrefixStore(folder_.path(), "key", 1 << 20));
  }

  LanguageScript script_;
  engine::ScratchFolder folder_;
};

TEST_F(LanguageWarmupTest, RunsPromptsOfSomeLengthsAndSeveralAnswersAtOnce) {
  const auto model = serve({.running_max = 4});
  LanguageWarmup warmup(model, {.budget = 10s});
  sync_wait(warmup.prove());
  EXPECT_THAT(script_.decodes, Contains(8));
  const model::WarmupReport report = sync_wait(warmup.heat());
  EXPECT_EQ(report.cells, 6u) << "1 to 4 short prompts, and two longer ones";
  EXPECT_EQ(report.skipped, 0u);
  EXPECT_THAT(script_.decodes, Contains(64));
  EXPECT_THAT(script_.decodes, Contains(256));
  EXPECT_THAT(script_.decodes, Contains(4)) << "a step for four answers";
}

TEST_F(LanguageWarmupTest, NothingOfItStays) {
  const auto model = serve({.running_max = 4, .offload_bytes_max = 1 << 20, .guess = 4});
  LanguageWarmup warmup(model, {.budget = 10s});
  sync_wait(warmup.prove());
  sync_wait(warmup.heat());
  // A request behind it sees what it left; its answer says when the lane has carried all out.
  const std::unique_ptr<Completion> answer = model->start({.prompt = {'a', '?'}, .max_tokens = 1});
  EXPECT_TRUE(sync_wait(answer->next()).finish);
  EXPECT_EQ(answer->usage().cached_tokens, 0);
  EXPECT_EQ(model->load().guessed, 0);
  std::size_t left = 0;
  for (const auto& [sequence, text] : script_.memory) left += text.size();
  EXPECT_LE(left, 3u) << "of the one request";
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(LanguageWarmupTest, ProbabilitiesThatAreNoNumbersAreRefused) {
  script_.logprob = std::numeric_limits<float>::quiet_NaN();
  const auto model = serve();
  LanguageWarmup warmup(model, {.budget = 10s});
  try {
    sync_wait(warmup.prove());
    FAIL() << "it is served";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  }
}

TEST_F(LanguageWarmupTest, AModelThatFailsIsNotProved) {
  script_.fail_decodes = 1;
  const auto model = serve();
  LanguageWarmup warmup(model, {.budget = 10s});
  EXPECT_THROW(sync_wait(warmup.prove()), Error);
}

TEST_F(LanguageWarmupTest, PromptsFitTheWindow) {
  const auto model = serve({.window = 30});
  LanguageWarmup warmup(model, {.budget = 10s});
  sync_wait(warmup.prove());
  sync_wait(warmup.heat());
  for (const std::size_t size : script_.decodes) EXPECT_LE(size, 64u);
  const auto tiny = serve({.window = 8});
  LanguageWarmup none(tiny, {.budget = 10s});
  sync_wait(none.prove());
  EXPECT_EQ(sync_wait(none.heat()).cells, 0u);
}

}  // namespace
}  // namespace baozi::llm
