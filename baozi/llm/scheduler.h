// Scheduler: which tokens of which requests the next step of a language model computes. Continuous
// batching: every running request gets its next token in every step, and what room is left goes to
// prompts, in pieces.
//
//   int job = scheduler.add({.tokens = prompt, …});
//   const Plan& plan = scheduler.next({.prompt_tokens = 256});
//   … carry out plan.memory, decode plan.steps …
//   scheduler.computed();
//   for (const Plan::Output& output : plan.outputs) scheduler.append(output.job, sampled token);
//   scheduler.propose(job, guess);                         // of the tokens behind it
//   scheduler.end(job);                                    // answered, or nobody wants it any more
//
// A request whose prompt begins as one that is being computed waits for that one, and shares it.
// When the memory is full, what was kept of past requests goes first, then the request that is last
// in order is put back; later it goes on where it was. What goes is offloaded, and reloaded when a
// prompt begins with it.
//
// Thread safety: none. Pure: no clock, no context, no random source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "baozi/engine/language.h"
#include "baozi/llm/offloaded.h"
#include "baozi/llm/prefix_tree.h"

namespace baozi::llm {

struct SchedulerOptions {
  int cells = 4096;     // tokens the KV memory holds
  int sequences = 64;   // ids the memory knows; those beyond running_max keep the past
  int running_max = 8;  // requests in one step
  int steps_max = 512;  // tokens of one step
  int offload_max = 0;  // tokens of the past that may be kept outside of the memory
  int idle_max = 256;   // tokens of the past in the memory while others run, when they can be kept
                        // outside: attention steps over them
};

struct JobRequest {
  std::vector<engine::Token> tokens;  // at least one, and fewer than the memory's cells
  int tokens_more = 0;                // how many append() may add, for reserving memory
  int priority = 0;                   // higher goes first
  std::string client = {};            // who was given less goes first
  int adapter = 0;                    // in [0, kAdaptersMax]; a step is computed with one
  bool keep = true;                   // what is computed for it, for those that begin alike
};

inline constexpr int kAdaptersMax = 126;

// Behind many tokens, attention is most of the work, and its kernels take this many rows at once
// for not much more than a few: there a smaller piece would only make the prompt take longer.
inline constexpr int kFarPosition = 512;
inline constexpr int kFarPiece = 64;

struct StepLimits {
  // At most so many while a running request waits for its next token, or kFarPiece when the prompts
  // are far.
  int prompt_tokens = 512;
};

// What to do, in this order: `memory`, then one decode of `steps`.
struct Plan {
  struct Memory {
    enum class Do : std::uint8_t {
      kShare,    // the positions of sequence `other` with `sequence`
      kForget,   // those of `sequence`
      kOffload,  // copies those of `sequence` out of the memory, as run number `other`
      kReload,   // copies those of the run into `sequence`, where they follow what it has
      kDrop,     // the run `other` is not wanted any more
    };
    Do what = Do::kForget;
    int sequence = -1;
    int begin = 0;
    int end = 0;  // -1: all that follow
    int other = -1;
  };
  // A beginning that one request has in common with another, which was not just its own past.
  struct Shared {
    int sequence = 0;
    int length = 0;
  };
  struct Output {
    int job = 0;
    std::size_t step = 0;  // whose logits it is sampled from
    int guesses = 0;       // of the same job, which follow as outputs
  };
  int adapter = 0;
  std::vector<Memory> memory;
  std::vector<Shared> shared;
  std::vector<engine::Step> steps;
  std::vector<Output> outputs;
};

class Scheduler {
 public:
  explicit Scheduler(SchedulerOptions options);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // A number for the request, free again after end().
  int add(JobRequest request);
  // The step's plan, until the next call; empty when there is nothing to do. Each plan with steps
  // is followed by computed() or failed().
  const Plan& next(const StepLimits& limits);
  const Plan& latest() const noexcept { return plan_; }
  void computed();
  // None of the steps were computed; what was done in the memory stays.
  void failed();
  // The token that was sampled for a job which had an output. True: it was proposed, and the plan's
  // next output is the same job's, for the token behind it. False: that one, if there is any, means
  // nothing.
  bool append(int job, engine::Token token);
  // A guess of what a job's answer says next. As much of it as there is room for is computed with
  // the next step, and what is sampled decides.
  void propose(int job, std::span<const engine::Token> tokens);
  // The answer is complete, or not wanted any more. Between plans.
  void end(int job);
  // Puts the running request that is last in order back among those who wait; false when at most
  // one runs. For a decode that found less room than there should be.
  bool put_back_one();

  // Tokens that are outside of the memory from before (on a disk): the number of the run, or -1
  // when they are known.
  int offloaded(std::span<const engine::Token> tokens);
  // The plan's `memory` could not be carried out, and the memory is empty now: all who ran begin
  // anew.
  void lost_memory();

  std::size_t waiting() const noexcept { return waiting_.size(); }
  std::size_t running() const noexcept { return running_.size(); }
  bool idle() const noexcept { return running_.empty() && waiting_.empty(); }
  int cached_tokens(int job) const noexcept;  // of the prompt, found in the memory at its start
  const PrefixTree& tree() const noexcept { return *tree_; }

 private:
  struct Job;
  struct Client {
    std::string name;
    int jobs = 0;
    std::uint64_t served = 0;  // tokens computed
  };
  struct Piece {
    int job;
    int count;
    int drafted;  // more, which were guessed
  };
  enum class Start : std::uint8_t { kStarted, kFollows, kNoRoom };

  Job& job(int number) { return *jobs_[static_cast<std::size_t>(number)]; }
  const Job& job(int number) const { return *jobs_[static_cast<std::size_t>(number)]; }
  Client& client(std::string name);
  bool goes_before(int a, int b) const;
  int room() const noexcept;
  bool make_room(int cells);
  bool evict(int cells);
  void offload(const PrefixTree::Evicted& evicted);
  bool reload(Job& job);
  void close(const Job& job);
  void settle();
  void put_back(int number);
  int last_running() const;
  void plan(const StepLimits& limits);
  bool in_plan(int number) const;
  int next_adapter() const;
  void plan_next_tokens();
  int plan_draft(int number, int count_max);
  void forget_draft(Job& job);
  void plan_prompts(int near, int far);
  void admit(int near, int far);
  bool follows_another(const Job& waiting, int known) const;
  Start start(int number);
  int plan_piece(int number, int count_max);

  const SchedulerOptions options_;
  std::unique_ptr<PrefixTree> tree_;
  Offloaded offloaded_;
  std::vector<std::unique_ptr<Job>> jobs_;  // by number; null: free
  std::vector<int> waiting_;
  std::vector<int> running_;
  std::vector<std::unique_ptr<Client>> clients_;  // of the jobs there are
  std::vector<Plan::Memory> owed_;                // to be done first in the next plan
  std::vector<int> dropped_;                      // scratch
  Plan plan_;
  std::vector<Piece> pieces_;  // of the plan
  int planned_ = 0;            // cells that the plan's steps will take
  std::uint64_t arrivals_ = 0;
};

}  // namespace baozi::llm
