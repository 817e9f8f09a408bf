#include "baozi/llm/scheduler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace baozi::llm {
namespace {

using engine::Token;

std::vector<Token> tokens_of(std::string_view text) { return {text.begin(), text.end()}; }

// "s0<s1[5] f2[0] r0<s1[2-9] s2<r0[2-5] d1 | s0:5-9* s1:7": shares, forgets, what is offloaded,
// reloaded and dropped, then each sequence's positions; * has an output.
std::string text_of(const Plan& plan) {
  std::string text;
  for (const Plan::Memory& each : plan.memory) {
    switch (each.what) {
      case Plan::Memory::Do::kShare:
        text += fmt::format("s{}<s{}[{}] ", each.sequence, each.other, each.end);
        break;
      case Plan::Memory::Do::kForget:
        text += fmt::format("f{}[{}] ", each.sequence, each.begin);
        break;
      case Plan::Memory::Do::kOffload:
        text += fmt::format("r{}<s{}[{}-{}] ", each.other, each.sequence, each.begin, each.end);
        break;
      case Plan::Memory::Do::kReload:
        text += fmt::format("s{}<r{}[{}-{}] ", each.sequence, each.other, each.begin, each.end);
        break;
      case Plan::Memory::Do::kDrop:
        text += fmt::format("d{} ", each.other);
        break;
    }
  }
  text += "|";
  for (std::size_t i = 0; i < plan.steps.size();) {
    std::size_t last = i;
    while (last + 1 < plan.steps.size() &&
           plan.steps[last + 1].sequence == plan.steps[i].sequence) {
      ++last;
    }
    text += fmt::format(" s{}:{}-{}{}", plan.steps[i].sequence, plan.steps[i].position,
                        plan.steps[last].position, plan.steps[last].output ? "*" : "");
    i = last + 1;
  }
  return text;
}

// One step with everything carried out; each output becomes the token '.'.
std::string step(Scheduler& scheduler, int prompt_tokens = 512) {
  const Plan& plan = scheduler.next({.prompt_tokens = prompt_tokens});
  const std::string text = text_of(plan);
  scheduler.computed();
  int done = -1;  // its further outputs stand behind a wrong guess
  for (const Plan::Output& output : plan.outputs) {
    if (output.job != done && !scheduler.append(output.job, '.')) done = output.job;
  }
  return text;
}

constexpr SchedulerOptions kSmall{
    .cells = 1000, .sequences = 8, .running_max = 4, .steps_max = 100};

TEST(Scheduler, AJobThatIsNotToBeKeptLeavesNothing) {
  Scheduler scheduler(kSmall);
  const int job = scheduler.add({.tokens = tokens_of("warm up"), .tokens_more = 4, .keep = false});
  EXPECT_EQ(step(scheduler), "| s0:0-6*");
  scheduler.end(job);
  EXPECT_EQ(scheduler.tree().cells(), 0);
  EXPECT_EQ(step(scheduler), "f0[0] |");
  EXPECT_TRUE(scheduler.tree().consistent());
}

TEST(Scheduler, NothingToDoIsAnEmptyPlan) {
  Scheduler scheduler(kSmall);
  EXPECT_EQ(step(scheduler), "|");
  EXPECT_TRUE(scheduler.idle());
}

TEST(Scheduler, APromptIsReadThenOneTokenAStepFollows) {
  Scheduler scheduler(kSmall);
  const int job = scheduler.add({.tokens = tokens_of("hello")});
  EXPECT_EQ(step(scheduler), "| s0:0-4*");
  EXPECT_EQ(step(scheduler), "| s0:5-5*");
  EXPECT_EQ(step(scheduler), "| s0:6-6*");
  scheduler.end(job);
  EXPECT_EQ(step(scheduler), "|");
}

TEST(Scheduler, ALongPromptIsReadInPieces) {
  Scheduler scheduler(kSmall);
  scheduler.add({.tokens = std::vector<Token>(250, 'a')});
  EXPECT_EQ(step(scheduler), "| s0:0-99");
  EXPECT_EQ(step(scheduler), "| s0:100-199");
  EXPECT_EQ(step(scheduler), "| s0:200-249*");
}

// Whoever answers gets the next token in every step, and waits for no more than the limit.
TEST(Scheduler, APromptTakesSmallPiecesWhileOthersAnswer) {
  Scheduler scheduler(kSmall);
  scheduler.add({.tokens = tokens_of("hello")});
  step(scheduler);
  scheduler.add({.tokens = std::vector<Token>(50, 'a')});
  EXPECT_EQ(step(scheduler, 30), "| s0:5-5* s1:0-29");
  EXPECT_EQ(step(scheduler, 30), "| s0:6-6* s1:30-49*");
  EXPECT_EQ(step(scheduler, 30), "| s0:7-7* s1:50-50*");
}

// Far from the beginning a piece is not made smaller than the kernels take at once.
TEST(Scheduler, FarPromptsAreReadInLargerPieces) {
  Scheduler scheduler({.cells = 4000, .sequences = 8, .running_max = 4, .steps_max = 1000});
  scheduler.add({.tokens = std::vector<Token>(600, 'a')});
  step(scheduler);
  std::vector<Token> follows(600, 'a');
  follows.insert(follows.end(), 100, 'b');
  scheduler.add({.tokens = follows});
  EXPECT_EQ(step(scheduler, 20), "s1<s0[600] | s0:600-600* s1:600-663");
  EXPECT_EQ(step(scheduler, 20), "| s0:601-601* s1:664-699*");
}

TEST(Scheduler, NoMoreRunThanAllowed) {
  Scheduler scheduler(kSmall);
  std::vector<int> jobs;
  for (char c = 'a'; c < 'g'; ++c) jobs.push_back(scheduler.add({.tokens = {c}}));
  EXPECT_EQ(step(scheduler), "| s0:0-0* s1:0-0* s2:0-0* s3:0-0*");
  EXPECT_EQ(scheduler.waiting(), 2u);
  scheduler.end(jobs[1]);
  step(scheduler);
  EXPECT_EQ(scheduler.waiting(), 1u);
  EXPECT_EQ(scheduler.running(), 4u);
}

TEST(Scheduler, APromptThatIsKnownIsSharedNotComputed) {
  Scheduler scheduler(kSmall);
  const std::string system(60, 's');
  scheduler.add({.tokens = tokens_of(system + "one")});
  step(scheduler);
  const int second = scheduler.add({.tokens = tokens_of(system + "two")});
  EXPECT_EQ(step(scheduler), "s1<s0[60] | s0:63-63* s1:60-62*");
  EXPECT_EQ(scheduler.cached_tokens(second), 60);
}

// Eight clients with one new system prompt cost one reading of it.
TEST(Scheduler, ThoseWhoBeginAlikeWaitForTheFirst) {
  Scheduler scheduler(kSmall);
  const std::string system(150, 's');
  for (const char* text : {"one", "two", "six"})
    scheduler.add({.tokens = tokens_of(system + text)});
  scheduler.add({.tokens = tokens_of("another")});
  EXPECT_EQ(step(scheduler), "| s0:0-99");
  EXPECT_EQ(step(scheduler), "| s0:100-152* s1:0-6*");
  EXPECT_EQ(step(scheduler), "s2<s0[150] s3<s2[150] | s0:153-153* s1:7-7* s2:150-152* s3:150-152*");
}

TEST(Scheduler, WhenTheFirstGivesUpTheNextReadsOn) {
  Scheduler scheduler(kSmall);
  const std::string system(150, 's');
  const int first = scheduler.add({.tokens = tokens_of(system + "one")});
  scheduler.add({.tokens = tokens_of(system + "two")});
  step(scheduler);
  scheduler.end(first);
  EXPECT_EQ(step(scheduler), "| s0:100-152*") << "the kept sequence is taken over";
}

TEST(Scheduler, HigherPriorityGoesFirst) {
  Scheduler scheduler({.cells = 1000, .sequences = 8, .running_max = 1, .steps_max = 100});
  scheduler.add({.tokens = tokens_of("low")});
  const int high = scheduler.add({.tokens = tokens_of("high"), .priority = 1});
  EXPECT_EQ(step(scheduler), "| s0:0-3*");
  scheduler.end(high);
  EXPECT_EQ(step(scheduler), "| s1:0-2*");
}

// A client with many requests does not keep another one waiting behind all of them.
TEST(Scheduler, ClientsTakeTurns) {
  Scheduler scheduler({.cells = 1000, .sequences = 8, .running_max = 1, .steps_max = 100});
  const int first = scheduler.add({.tokens = tokens_of("aaaa"), .client = "greedy"});
  const int second = scheduler.add({.tokens = tokens_of("bbbb"), .client = "greedy"});
  scheduler.add({.tokens = tokens_of("dddd"), .client = "greedy"});
  step(scheduler);
  scheduler.add({.tokens = tokens_of("cc"), .client = "modest"});
  scheduler.end(first);
  EXPECT_EQ(step(scheduler), "| s1:0-3*");
  scheduler.end(second);
  EXPECT_EQ(step(scheduler), "| s2:0-1*");
}

TEST(Scheduler, ThePastMakesRoomForThePresent) {
  Scheduler scheduler({.cells = 100, .sequences = 8, .running_max = 2, .steps_max = 100});
  const int past = scheduler.add({.tokens = std::vector<Token>(80, 'p')});
  step(scheduler);
  scheduler.end(past);
  scheduler.add({.tokens = std::vector<Token>(60, 'n')});
  EXPECT_EQ(step(scheduler), "f0[16] | s1:0-59*");
}

// The evicted request goes on where it was: what it had said is computed again, not said again.
TEST(Scheduler, WhoIsPutBackResumes) {
  Scheduler scheduler({.cells = 60, .sequences = 8, .running_max = 2, .steps_max = 100});
  const int first = scheduler.add({.tokens = std::vector<Token>(20, 'a')});
  step(scheduler);
  const int second = scheduler.add({.tokens = std::vector<Token>(20, 'b')});
  step(scheduler);
  EXPECT_EQ(scheduler.running(), 2u);
  while (scheduler.waiting() == 0) step(scheduler);
  scheduler.end(first);
  const Plan& plan = scheduler.next({});
  ASSERT_EQ(plan.outputs.size(), 1u);
  EXPECT_EQ(plan.outputs[0].job, second);
  EXPECT_GT(plan.steps.back().position, 20);
}

TEST(Scheduler, AFailedStepIsPlannedAgain) {
  Scheduler scheduler(kSmall);
  scheduler.add({.tokens = tokens_of("hello")});
  scheduler.next({});
  scheduler.failed();
  EXPECT_EQ(step(scheduler), "| s0:0-4*");
}

TEST(Scheduler, WhatIsOnADiskIsReloadedWhenItIsWanted) {
  Scheduler scheduler(kSmall);
  EXPECT_EQ(scheduler.offloaded(tokens_of("system prompt")), 0);
  EXPECT_EQ(scheduler.offloaded(tokens_of("system")), -1) << "known";
  EXPECT_EQ(step(scheduler), "|");
  const int job = scheduler.add({.tokens = tokens_of("system prompt, and more")});
  EXPECT_EQ(step(scheduler), "s0<r0[0-13] | s0:13-22*");
  EXPECT_EQ(scheduler.cached_tokens(job), 13);
}

constexpr SchedulerOptions kOffloading{.cells = 1000,
                                       .sequences = 8,
                                       .running_max = 4,
                                       .steps_max = 100,
                                       .offload_max = 200,
                                       .idle_max = 50};

// The past is out of the way while others run, and its next request has it again.
TEST(Scheduler, ThePastIsOffloadedWhileOthersRun) {
  Scheduler scheduler(kOffloading);
  const std::string past(90, 'p');
  const int first = scheduler.add({.tokens = tokens_of(past)});
  step(scheduler);
  scheduler.end(first);
  EXPECT_EQ(step(scheduler), "|") << "it is in nobody's way";
  const int other = scheduler.add({.tokens = tokens_of("another")});
  EXPECT_EQ(step(scheduler), "r0<s0[0-90] f0[0] | s1:0-6*");
  scheduler.end(other);
  const int again = scheduler.add({.tokens = tokens_of(past + " goes on")});
  const Plan& plan = scheduler.next({});
  EXPECT_EQ(text_of(plan), "s0<r0[0-90] | s0:90-97*");
  EXPECT_TRUE(plan.shared.empty()) << "its own past";
  EXPECT_EQ(scheduler.cached_tokens(again), 90);
}

TEST(Scheduler, OnlyWhatIsNotOutsideYetIsOffloaded) {
  Scheduler scheduler(kOffloading);
  const std::string past(90, 'p');
  scheduler.offloaded(tokens_of(past));
  const int first = scheduler.add({.tokens = tokens_of(past + "more")});
  EXPECT_EQ(step(scheduler), "s0<r0[0-90] | s0:90-93*");
  scheduler.end(first);
  scheduler.add({.tokens = tokens_of("another")});
  EXPECT_EQ(step(scheduler), "r1<s0[90-94] f0[0] | s1:0-6*");
}

TEST(Scheduler, ABeginningThatGoesOnOtherwiseIsSharedFromOutside) {
  Scheduler scheduler(kOffloading);
  scheduler.offloaded(tokens_of("system prompt: one"));
  scheduler.add({.tokens = tokens_of("system prompt: two")});
  const Plan& plan = scheduler.next({});
  EXPECT_EQ(text_of(plan), "s0<r0[0-15] | s0:15-17*");
  ASSERT_EQ(plan.shared.size(), 1u);
  EXPECT_EQ(plan.shared[0].length, 15);
}

TEST(Scheduler, WhatWasUsedLongestAgoIsDropped) {
  Scheduler scheduler(kOffloading);
  std::string all;
  for (const char text : {'a', 'b', 'c', 'd'}) {
    const int job = scheduler.add({.tokens = std::vector<Token>(90, text)});
    all += step(scheduler) + "\n";
    scheduler.end(job);
  }
  EXPECT_EQ(all,
            "| s0:0-89*\n"
            "r0<s0[0-90] f0[0] | s1:0-89*\n"
            "r1<s1[0-90] f1[0] | s0:0-89*\n"
            "d0 r0<s0[0-90] f0[0] | s1:0-89*\n");
}

TEST(Scheduler, WhenTheMemoryIsLostAllBeginAnew) {
  Scheduler scheduler(kOffloading);
  scheduler.offloaded(tokens_of("system prompt"));
  scheduler.add({.tokens = tokens_of("hello")});
  step(scheduler);
  scheduler.add({.tokens = tokens_of("system prompt, and more")});
  scheduler.next({});
  scheduler.lost_memory();
  EXPECT_EQ(scheduler.tree().cells(), 0);
  EXPECT_EQ(step(scheduler), "| s0:0-5* s1:0-22*");
}

TEST(Scheduler, AGuessIsComputedAndWhatIsSampledDecides) {
  Scheduler scheduler(kSmall);
  const int job = scheduler.add({.tokens = tokens_of("hello")});
  step(scheduler);
  scheduler.propose(job, tokens_of("you"));
  const Plan& plan = scheduler.next({});
  EXPECT_EQ(text_of(plan), "| s0:5-8*");
  EXPECT_EQ(plan.outputs.size(), 4u);
  scheduler.computed();
  EXPECT_TRUE(scheduler.append(job, 'y'));
  EXPECT_TRUE(scheduler.append(job, 'o'));
  EXPECT_FALSE(scheduler.append(job, 'w')) << "not 'u'";
  EXPECT_EQ(step(scheduler), "f0[8] | s0:8-8*");
  scheduler.propose(job, tokens_of("a"));
  scheduler.next({});
  scheduler.computed();
  EXPECT_TRUE(scheduler.append(job, 'a'));
  EXPECT_FALSE(scheduler.append(job, 'b')) << "nothing was guessed behind it";
  EXPECT_EQ(step(scheduler), "| s0:11-11*");
}

TEST(Scheduler, AnAnswerThatEndsWithinAGuessLeavesNothingOfIt) {
  Scheduler scheduler(kSmall);
  const int job = scheduler.add({.tokens = tokens_of("hello")});
  step(scheduler);
  scheduler.propose(job, tokens_of("you"));
  scheduler.next({});
  scheduler.computed();
  scheduler.append(job, 'y');
  scheduler.end(job);
  EXPECT_EQ(step(scheduler), "f0[7] |");
  EXPECT_EQ(scheduler.tree().cells(), 7);
}

TEST(Scheduler, AGuessTakesNoRoomFromOthers) {
  Scheduler scheduler({.cells = 24, .sequences = 4, .running_max = 2, .steps_max = 8});
  const int first = scheduler.add({.tokens = tokens_of("abc")});
  scheduler.add({.tokens = tokens_of("xyz")});
  step(scheduler);
  scheduler.propose(first, tokens_of("1234567890"));
  EXPECT_EQ(step(scheduler), "| s0:3-9* s1:3-3*") << "eight steps";
}

// A step is computed with one adapter, and what was computed with another one is not shared.
TEST(Scheduler, AdaptersTakeTurnsAndShareNothing) {
  Scheduler scheduler(kSmall);
  const std::string same(50, 's');
  scheduler.add({.tokens = tokens_of(same + "1")});
  scheduler.add({.tokens = tokens_of(same + "2"), .adapter = 2});
  scheduler.add({.tokens = tokens_of(same + "3"), .adapter = 2});
  std::string all;
  for (int i = 0; i < 4; ++i) {
    const std::string plan = step(scheduler);
    all += fmt::format("{}: {}\n", scheduler.latest().adapter, plan);
  }
  EXPECT_EQ(all,
            "2: | s0:0-50*\n"
            "0: | s1:0-50*\n"
            "2: s2<s0[50] | s0:51-51* s2:50-50*\n"
            "0: | s1:51-51*\n");
}

}  // namespace
}  // namespace baozi::llm
