// Many requests of all kinds through a small memory: what the memory holds is always what it
// should, limits are kept, and everyone is answered.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "baozi/llm/scheduler.h"

namespace baozi::llm {
namespace {

using engine::Step;
using engine::Token;

// A KV memory that believes nothing: positions must follow each other, and the cells must suffice.
class Memory {
 public:
  explicit Memory(int cells) : cells_(cells) {}

  void carry_out(std::span<const Plan::Memory> memory) {
    for (const Plan::Memory& each : memory) carry_out(each);
    ASSERT_LE(used(), cells_);
  }

  void decode(std::span<const Step> steps) {
    for (const Step& step : steps) {
      std::vector<int>& sequence = held_[step.sequence];
      ASSERT_EQ(step.position, static_cast<int>(sequence.size()));
      sequence.push_back(static_cast<int>(tokens_.size()));
      tokens_.push_back(step.token);
    }
    ASSERT_LE(used(), cells_);
  }

  std::vector<Token> text(int sequence) {
    std::vector<Token> text;
    for (const int cell : held_[sequence]) text.push_back(tokens_[static_cast<std::size_t>(cell)]);
    return text;
  }

  std::size_t offloaded() const {
    std::size_t tokens = 0;
    for (const auto& [number, run] : runs_) tokens += run.tokens.size();
    return tokens;
  }
  void clear() {
    held_.clear();
    runs_.clear();
  }

  int reloads = 0;

 private:
  struct Run {
    std::size_t begin = 0;
    std::vector<Token> tokens;
  };

  void carry_out(const Plan::Memory& memory) {
    using Do = Plan::Memory::Do;
    const auto begin = static_cast<std::size_t>(memory.begin);
    const auto end = static_cast<std::size_t>(memory.end);
    std::vector<int>& sequence = held_[memory.sequence];
    switch (memory.what) {
      case Do::kShare: {
        ASSERT_TRUE(sequence.empty()) << "shared with a sequence in use";
        const std::vector<int>& from = held_[memory.other];
        ASSERT_LE(end, from.size());
        sequence.assign(from.begin(), from.begin() + memory.end);
        return;
      }
      case Do::kForget:
        ASSERT_LE(begin, sequence.size());
        sequence.resize(begin);
        return;
      case Do::kOffload: {
        ASSERT_LE(end, sequence.size());
        ASSERT_LT(begin, end);
        ASSERT_FALSE(runs_.contains(memory.other)) << "taken";
        Run& run = runs_[memory.other];
        run.begin = begin;
        for (std::size_t i = begin; i < end; ++i)
          run.tokens.push_back(tokens_[static_cast<std::size_t>(sequence[i])]);
        return;
      }
      case Do::kReload: {
        ASSERT_TRUE(runs_.contains(memory.other));
        const Run& run = runs_[memory.other];
        ASSERT_EQ(begin, sequence.size()) << "it follows what is there";
        ASSERT_GE(begin, run.begin);
        ASSERT_LE(end, run.begin + run.tokens.size());
        ASSERT_LE(used() + static_cast<int>(run.tokens.size()), cells_) << "no room to read it";
        for (std::size_t i = begin; i < end; ++i) {
          sequence.push_back(static_cast<int>(tokens_.size()));
          tokens_.push_back(run.tokens[i - run.begin]);
        }
        ++reloads;
        return;
      }
      case Do::kDrop:
        ASSERT_EQ(runs_.erase(memory.other), 1u);
        return;
    }
  }

  int used() const {
    std::set<int> cells;
    for (const auto& [sequence, held] : held_) cells.insert(held.begin(), held.end());
    return static_cast<int>(cells.size());
  }

  const int cells_;
  std::vector<Token> tokens_;             // of every cell there ever was
  std::map<int, std::vector<int>> held_;  // cells, by sequence
  std::map<int, Run> runs_;               // what was offloaded, by number
};

class Load {
 public:
  explicit Load(unsigned seed) : random_(seed) {}

  void run() {
    int steps = 0;
    while (left_to_ask_ > 0 || !jobs_.empty()) {
      ASSERT_LT(++steps, 50'000) << "somebody is never answered";
      ask();
      leave();
      ASSERT_NO_FATAL_FAILURE(step());
    }
    EXPECT_TRUE(scheduler_.idle());
    EXPECT_EQ(memory_.reloads > 0, options_.offload_max > 0);
    EXPECT_GT(guessed_right_, 0);
  }

 private:
  struct Asked {
    std::vector<Token> tokens;
    int wanted;  // tokens
    int adapter;
  };

  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }

  void ask() {
    while (left_to_ask_ > 0 && below(3) == 0) {
      std::vector<Token> prompt(static_cast<std::size_t>(40 * below(2)), 's');
      for (int i = 1 + below(40); i > 0; --i) prompt.push_back(static_cast<Token>('a' + below(2)));
      const int adapter = below(adapters_);
      const int job = scheduler_.add({.tokens = prompt,
                                      .priority = below(2),
                                      .client = std::string(1, static_cast<char>('A' + below(3))),
                                      .adapter = adapter});
      jobs_[job] = {prompt, 1 + below(30), adapter};
      --left_to_ask_;
    }
  }

  // Nobody wants it any more.
  void leave() {
    if (jobs_.empty() || below(20) > 0) return;
    const int job = jobs_.begin()->first;
    scheduler_.end(job);
    jobs_.erase(job);
  }

  void step() {
    const Plan& plan = scheduler_.next({.prompt_tokens = 1 + below(30)});
    if (below(200) == 0 && !plan.memory.empty()) {
      scheduler_.lost_memory();
      return memory_.clear();
    }
    ASSERT_NO_FATAL_FAILURE(memory_.carry_out(plan.memory));
    ASSERT_LE(memory_.offloaded(), static_cast<std::size_t>(options_.offload_max));
    if (below(10) == 0 && !plan.steps.empty()) {
      scheduler_.failed();
      if (below(2) == 0) scheduler_.put_back_one();
      return;
    }
    ASSERT_LE(static_cast<int>(plan.steps.size()), options_.steps_max);
    ASSERT_NO_FATAL_FAILURE(memory_.decode(plan.steps));
    scheduler_.computed();
    ASSERT_TRUE(scheduler_.tree().consistent());
    int done = -1;  // its further outputs stand behind a wrong guess
    for (const Plan::Output& output : plan.outputs) {
      if (output.job == done) continue;
      done = output.job;
      ASSERT_NO_FATAL_FAILURE(check(plan, output));
      if (answer(output)) done = -1;
    }
  }

  void check(const Plan& plan, const Plan::Output& output) {
    const Asked& asked = jobs_.at(output.job);
    ASSERT_EQ(asked.adapter, plan.adapter);
    const Step& step = plan.steps[output.step];
    std::vector<Token> text = memory_.text(step.sequence);
    text.resize(static_cast<std::size_t>(step.position) + 1);
    ASSERT_EQ(text, asked.tokens);
  }

  // True: with what had been guessed.
  bool answer(const Plan::Output& output) {
    Asked& asked = jobs_.at(output.job);
    if (--asked.wanted == 0) {
      scheduler_.end(output.job);
      jobs_.erase(output.job);
      return false;
    }
    const auto next = static_cast<Token>('a' + below(3));
    asked.tokens.push_back(next);
    if (scheduler_.append(output.job, next)) {
      ++guessed_right_;
      return true;
    }
    if (below(2) == 0)
      scheduler_.propose(output.job, std::vector<Token>(static_cast<std::size_t>(below(5)), 'a'));
    return false;
  }

  std::mt19937 random_;
  const SchedulerOptions options_{.cells = 120,
                                  .sequences = 6,
                                  .running_max = 4,
                                  .steps_max = 24,
                                  .offload_max = std::array{0, 60, 500}[random_() % 3],
                                  .idle_max = below(40)};
  const int adapters_ = 1 + below(3);
  Scheduler scheduler_{options_};
  Memory memory_{options_.cells};
  std::map<int, Asked> jobs_;
  int left_to_ask_ = 300;
  int guessed_right_ = 0;
};

TEST(Scheduler, RandomLoadIsAnsweredAndNothingIsMixedUp) {
  const auto seed = static_cast<unsigned>(std::random_device{}());
  SCOPED_TRACE("seed " + std::to_string(seed));
  Load(seed).run();
}

}  // namespace
}  // namespace baozi::llm
