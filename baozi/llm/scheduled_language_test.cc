#include "baozi/llm/scheduled_language.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/coro/nursery.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/when_all.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/engine/scratch_folder.h"
#include "baozi/llm/test_language.h"

namespace baozi::llm {
namespace {

using namespace std::chrono_literals;
using engine::Token;

std::vector<Token> tokens_of(std::string_view text) {
  std::vector<Token> tokens;
  for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
  return tokens;
}

struct Read {
  std::string text;
  Finish finish = Finish::kEnd;
  CompletionUsage usage;
};

Task<Read> read(std::unique_ptr<Completion> answer) {
  Read all;
  for (;;) {
    CompletionPiece piece = co_await answer->next();
    all.text += piece.text;
    if (!piece.finish) continue;
    all.finish = *piece.finish;
    all.usage = answer->usage();
    co_return all;
  }
}

class ScheduledLanguageTest : public testing::Test {
 protected:
  std::shared_ptr<ScheduledLanguage> serve(ScheduledLanguageOptions options = {}) {
    options.name = "scripted";
    return std::make_shared<ScheduledLanguage>(std::make_shared<ScriptedModel>(script_),
                                               std::move(options));
  }
  // With a folder for what requests share.
  std::shared_ptr<ScheduledLanguage> serve_with_prefixes() {
    return std::make_shared<ScheduledLanguage>(std::make_shared<ScriptedModel>(script_),
                                               ScheduledLanguageOptions{.name = "scripted"},
                                               PrefixStore(folder_.path(), "key", 1 << 20));
  }
  Read ask(ScheduledLanguage& model, CompletionRequest request) {
    return sync_wait(read(model.start(std::move(request))));
  }
  static Code code_of_start(ScheduledLanguage& model, CompletionRequest request) {
    try {
      model.start(std::move(request));
    } catch (const Error& error) {
      return error.code();
    }
    return Code::kOk;
  }

  LanguageScript script_;
  engine::ScratchFolder folder_;
};

TEST_F(ScheduledLanguageTest, AnswersToTheEnd) {
  script_.answer = "fine, thanks";
  const auto model = serve();
  const Read got = ask(*model, {.prompt = tokens_of("how are you?")});
  EXPECT_EQ(got.text, "fine, thanks");
  EXPECT_EQ(got.finish, Finish::kEnd);
  EXPECT_EQ(got.usage.prompt_tokens, 12);
  EXPECT_EQ(got.usage.completion_tokens, 12);
}

TEST_F(ScheduledLanguageTest, EndsAtTheLimit) {
  script_.answer = "fine, thanks";
  const auto model = serve();
  const Read got = ask(*model, {.prompt = tokens_of("how are you?"), .max_tokens = 4});
  EXPECT_EQ(got.text, "fine");
  EXPECT_EQ(got.finish, Finish::kLength);
  EXPECT_EQ(got.usage.completion_tokens, 4);
}

TEST_F(ScheduledLanguageTest, EndsBeforeAStopString) {
  script_.answer = "fine, thanks";
  const auto model = serve();
  const Read got = ask(*model, {.prompt = tokens_of("how are you?"), .stops = {", th"}});
  EXPECT_EQ(got.text, "fine");
  EXPECT_EQ(got.finish, Finish::kStop);
}

TEST_F(ScheduledLanguageTest, ManyAtOnceGetTheirOwnAnswers) {
  const auto model = serve({.running_max = 3});
  std::vector<Task<Read>> all;
  for (int i = 0; i < 20; ++i)
    all.push_back(read(model->start({.prompt = tokens_of(std::string(1 + i, 'a') + "?")})));
  const std::vector<Read> got = sync_wait(when_all(std::move(all)));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(got[static_cast<std::size_t>(i)].text, "ok");
    EXPECT_EQ(got[static_cast<std::size_t>(i)].usage.prompt_tokens, i + 2);
  }
}

TEST_F(ScheduledLanguageTest, TheNextTurnOfAConversationIsNotReadAgain) {
  const auto model = serve();
  ask(*model, {.prompt = tokens_of("first turn?")});
  const Read got = ask(*model, {.prompt = tokens_of("first turn?ok second turn?")});
  EXPECT_EQ(got.text, "ok");
  EXPECT_EQ(got.usage.cached_tokens, 13);
}

TEST_F(ScheduledLanguageTest, AnAnswerNobodyWantsIsEnded) {
  script_.answer = std::string(100'000, 'x');
  script_.capacity = 200'000;
  const auto model = serve({.running_max = 1});
  model->start({.prompt = tokens_of("go on?")}).reset();
  script_.answer = "ok";
  EXPECT_EQ(ask(*model, {.prompt = tokens_of("next?")}).text, "ok");
  EXPECT_LT(script_.decodes.size(), 1000u);
}

Task<Read> read_until(std::unique_ptr<Completion> answer, Duration limit) {
  Task<Read> reading = read(std::move(answer));
  Read got = co_await with_timeout(std::move(reading), limit);
  co_return got;
}

TEST_F(ScheduledLanguageTest, ADeadlineEndsTheWait) {
  script_.answer = std::string(1'000'000, 'x');
  script_.capacity = 2'000'000;
  const auto model = serve();
  try {
    sync_wait(read_until(model->start({.prompt = tokens_of("go on?")}), 20ms));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDeadlineExceeded);
  }
}

TEST_F(ScheduledLanguageTest, WhoIsPutBackNoticesNothing) {
  script_.answer = std::string(60, 'x');
  script_.capacity = 100;
  const auto model = serve({.running_max = 2});
  std::vector<Task<Read>> all;
  all.push_back(read(model->start({.prompt = tokens_of("aaaaaaaaaa?")})));
  all.push_back(read(model->start({.prompt = tokens_of("bbbbbbbbbb?")})));
  for (const Read& got : sync_wait(when_all(std::move(all)))) EXPECT_EQ(got.text, script_.answer);
}

TEST_F(ScheduledLanguageTest, APromptBeyondTheWindowIsRefusedOrTruncated) {
  const auto model = serve({.window = 40});
  CompletionRequest request{.prompt = tokens_of(std::string(60, 'a') + "?")};
  EXPECT_EQ(code_of_start(*model, request), Code::kInvalidArgument);
  request.overflow = Overflow::kTruncate;
  const Read got = ask(*model, request);
  EXPECT_EQ(got.text, "ok");
  EXPECT_EQ(got.usage.prompt_tokens, 20);
}

TEST_F(ScheduledLanguageTest, AnAnswerEndsWithTheWindowOrIsShifted) {
  script_.answer = std::string(100, 'x');
  const auto model = serve({.window = 40});
  CompletionRequest request{.prompt = tokens_of("go on?"), .max_tokens = 80};
  const Read ended = ask(*model, request);
  EXPECT_EQ(ended.finish, Finish::kLength);
  EXPECT_EQ(ended.usage.completion_tokens, 34);
  request.overflow = Overflow::kShift;
  const Read shifted = ask(*model, request);
  EXPECT_EQ(shifted.usage.completion_tokens, 80);
}

TEST_F(ScheduledLanguageTest, AFullQueueRefuses) {
  script_.answer = std::string(100'000, 'x');
  script_.capacity = 200'000;
  const auto model = serve({.running_max = 1, .queue_max = 2});
  const auto first = model->start({.prompt = tokens_of("go on?")});
  while (model->load().running == 0) std::this_thread::yield();
  const auto second = model->start({.prompt = tokens_of("go on?")});
  const auto third = model->start({.prompt = tokens_of("go on?")});
  EXPECT_TRUE(model->refusal());
  EXPECT_EQ(code_of_start(*model, {.prompt = tokens_of("me too?")}), Code::kResourceExhausted);
}

TEST_F(ScheduledLanguageTest, BadRequestsAreRefused) {
  const auto model = serve();
  EXPECT_EQ(code_of_start(*model, {}), Code::kInvalidArgument);
  EXPECT_EQ(code_of_start(*model, {.prompt = std::vector<Token>(2000, 'a')}),
            Code::kInvalidArgument);
  EXPECT_THROW(serve({.sequences = 2, .running_max = 3}), Error);
}

Task<Code> code_of(std::unique_ptr<Completion> answer) {
  Task<Read> reading = read(std::move(answer));
  try {
    co_await std::move(reading);
  } catch (const Error& error) {
    co_return error.code();
  }
  co_return Code::kOk;
}

// A step that fails ends the answers it was for, not the server.
TEST_F(ScheduledLanguageTest, AFailedDecodeIsToldToThoseWhoWait) {
  const auto model = serve();
  script_.fail_decodes = 1;
  EXPECT_EQ(sync_wait(code_of(model->start({.prompt = tokens_of("well?")}))), Code::kInternal);
  EXPECT_EQ(ask(*model, {.prompt = tokens_of("now?")}).text, "ok");
}

TEST_F(ScheduledLanguageTest, UnloadingEndsWhatIsNotWanted) {
  script_.answer = std::string(1'000'000, 'x');
  script_.capacity = 2'000'000;
  auto owned = std::make_unique<ScheduledLanguage>(std::make_shared<ScriptedModel>(script_),
                                                   ScheduledLanguageOptions{.name = "m"});
  std::unique_ptr<Completion> answer = owned->start({.prompt = tokens_of("go on?")});
  owned.reset();
  EXPECT_EQ(sync_wait(code_of(std::move(answer))), Code::kUnavailable);
}

const std::string kSystem(200, 's');

// Two that are prepared at the same time are computed in one step.
TEST_F(ScheduledLanguageTest, WhoIsOnTheWayComesAlong) {
  const auto model = serve();
  std::unique_ptr<Completion> first;
  std::unique_ptr<Completion> second;
  {
    const auto coming = model->coming();
    first = model->start({.prompt = tokens_of("one?")});
    second = model->start({.prompt = tokens_of("other?")});
  }
  sync_wait(read(std::move(first)));
  sync_wait(read(std::move(second)));
  EXPECT_EQ(script_.decodes, (std::vector<std::size_t>{10, 2, 2}));
}

// Somebody who never comes does not keep the others.
TEST_F(ScheduledLanguageTest, WhoDoesNotComeIsNotWaitedForLong) {
  const auto model = serve();
  const auto coming = model->coming();
  EXPECT_EQ(ask(*model, {.prompt = tokens_of("one?")}).text, "ok");
}

TEST_F(ScheduledLanguageTest, WhatRepeatsIsGuessed) {
  script_.answer = "steam, steam, steam, stop.";
  const auto model = serve({.guess = 4});
  const Read got = ask(*model, {.prompt = tokens_of("say?")});
  EXPECT_EQ(got.text, script_.answer);
  EXPECT_EQ(got.usage.completion_tokens, 26);
  // Behind the second "ste", "s" and "am,": four tokens each, the last one of them wrong.
  EXPECT_EQ(got.usage.guessed_tokens, 12);
  EXPECT_EQ(got.usage.guessed_tokens_right, 11);
  EXPECT_LT(script_.decodes.size(), 20u);
  EXPECT_EQ(model->load().guessed, 12);
  EXPECT_EQ(model->load().guessed_right, 11);
}

// The end, a stop string or a length within a guess is the end: nothing behind it is said.
TEST_F(ScheduledLanguageTest, AnAnswerMayEndWithinAGuess) {
  script_.answer = "steam, steam, steam, steam, steam";
  const auto model = serve({.guess = 8});
  const std::vector<Token> prompt = tokens_of("say?");
  EXPECT_EQ(ask(*model, {.prompt = prompt, .max_tokens = 15}).text, "steam, steam, s");
  EXPECT_EQ(ask(*model, {.prompt = prompt, .stops = {"am, steam, ste"}}).text, "ste");
  EXPECT_EQ(ask(*model, {.prompt = prompt}).text, script_.answer);
}

TEST_F(ScheduledLanguageTest, AdaptersAreUsedForThoseWhoAskForThem) {
  const auto model = serve({.adapters = {"pirate", "poet"}});
  ask(*model, {.prompt = tokens_of("one?")});
  ask(*model, {.prompt = tokens_of("one?"), .adapter = 2});
  EXPECT_EQ(script_.adapters, (std::vector<int>{0, 0, 0, 2, 2, 2}));
  EXPECT_EQ(code_of_start(*model, {.prompt = tokens_of("one?"), .adapter = 3}),
            Code::kInvalidArgument);
}

// What nobody uses is out of the others' way, and whoever goes on with it notices nothing.
TEST_F(ScheduledLanguageTest, APastThatWasOffloadedComesBack) {
  const auto model = serve({.offload_bytes_max = 10'000});
  const std::string past(300, 'p');
  ask(*model, {.prompt = tokens_of(past + "?")});
  ask(*model, {.prompt = tokens_of("another?")});
  EXPECT_EQ(script_.restores, 0);
  EXPECT_LT(model->load().tokens, 30);
  const Read got = ask(*model, {.prompt = tokens_of(past + "?ok, and then?")});
  EXPECT_EQ(script_.restores, 1);
  EXPECT_EQ(got.usage.cached_tokens, 303);
  EXPECT_EQ(got.text, "ok");
}

TEST_F(ScheduledLanguageTest, WhatDoesNotComeBackIsComputedAgain) {
  const auto model = serve({.offload_bytes_max = 10'000});
  const std::string past(300, 'p');
  ask(*model, {.prompt = tokens_of(past + "?")});
  ask(*model, {.prompt = tokens_of("another?")});
  script_.fail_restores = 1;
  const Read got = ask(*model, {.prompt = tokens_of(past + "?ok, and then?")});
  EXPECT_EQ(got.usage.cached_tokens, 0);
  EXPECT_EQ(got.text, "ok");
}

// A system prompt that two requests had is known to the next process; what only one had is not.
TEST_F(ScheduledLanguageTest, ASharedBeginningOutlivesTheProcess) {
  {
    const auto model = serve_with_prefixes();
    ask(*model, {.prompt = tokens_of(kSystem + "one?")});
    ask(*model, {.prompt = tokens_of(kSystem + "two?")});
  }
  script_.memory.clear();
  const auto again = serve_with_prefixes();
  const Read got = ask(*again, {.prompt = tokens_of(kSystem + "three?")});
  EXPECT_EQ(got.usage.cached_tokens, 200);
  EXPECT_EQ(got.text, "ok");
}

TEST_F(ScheduledLanguageTest, WhatOnlyOneRequestSaidIsNotWritten) {
  {
    const auto model = serve_with_prefixes();
    ask(*model, {.prompt = tokens_of(kSystem + "one?")});
    ask(*model, {.prompt = tokens_of("another?")});
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(ScheduledLanguageTest, AFileTheEngineRefusesIsComputedAnew) {
  PrefixStore(folder_.path(), "key", 1 << 20).write(tokens_of(kSystem), std::vector<std::byte>(9));
  script_.fail_restores = 1;
  const auto model = serve_with_prefixes();
  const Read got = ask(*model, {.prompt = tokens_of(kSystem + "one?")});
  EXPECT_EQ(got.usage.cached_tokens, 0);
  EXPECT_EQ(got.text, "ok");
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

}  // namespace
}  // namespace baozi::llm
