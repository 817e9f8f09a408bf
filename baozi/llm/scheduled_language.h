// ScheduledLanguage: a language model that serves many at once. It drives the pure core of
// scheduler.h: one context on a lane of its own, a step at a time.
//
//   auto model = engine::engine_for(file).load_language(file, options, stop);
//   auto served = std::make_shared<ScheduledLanguage>(model, ScheduledLanguageOptions{});
//   std::unique_ptr<Completion> answer = served->start({.prompt = tokens, .max_tokens = 100});
//   do {
//     piece = co_await answer->next();
//   } while (!piece.finish);
//
// Same seed, same text: a request samples with its own generator from its own logits. What else
// runs in the batch can change a logit in its last bits (matrix kernels sum in another order),
// which matters where two tokens are all but equally likely.
//
// Thread safety: all methods. The destructor blocks until the step that runs has ended; answers
// that are still wanted end with kUnavailable. A Completion may outlive it.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "baozi/coro/lane.h"
#include "baozi/llm/kv_memory.h"
#include "baozi/llm/language_servable.h"
#include "baozi/llm/prefix_saver.h"
#include "baozi/llm/scheduler.h"
#include "baozi/llm/step_pace.h"
#include "baozi/llm/thread_pace.h"

namespace baozi::llm {

struct ScheduledLanguageOptions {
  std::string name = {};
  std::string version = "1";
  model::Origin origin = {};
  int sequences = 64;                 // as engine::LanguageOptions::sequences of the loaded model
  int running_max = 8;                // answers at once
  std::size_t queue_max = 256;        // requests that wait
  int window = 0;                     // tokens of a prompt and its answer; 0: all of the memory
  std::size_t offload_bytes_max = 0;  // of the past, in the process's memory
  int guess = 0;  // tokens of an answer that are computed ahead where it repeats something; 0: none
  std::vector<std::string> adapters = {};          // names of engine::LanguageOptions::adapters
  Duration stall = std::chrono::milliseconds(50);  // what reading prompts may add between two
                                                   // tokens of another answer
};

class ScheduledLanguage final : public LanguageServable,
                                public std::enable_shared_from_this<ScheduledLanguage> {
 public:
  // Makes the context. `prefixes`: where beginnings that requests share outlive the process.
  // Errors: those of LanguageModel::create_context, kInvalidArgument.
  ScheduledLanguage(std::shared_ptr<engine::LanguageModel> model, ScheduledLanguageOptions options,
                    std::optional<PrefixStore> prefixes = std::nullopt);
  ~ScheduledLanguage() override;

  const std::string& name() const noexcept override { return options_.name; }
  const std::string& version() const noexcept override { return options_.version; }
  std::string_view platform() const noexcept override { return "llama_gguf"; }
  std::size_t memory_bytes() const noexcept override { return model_->facts().memory.total(); }
  const engine::Signature& signature() const noexcept override { return signature_; }
  const std::vector<std::string>& labels() const noexcept override { return labels_; }
  const model::Origin& origin() const noexcept override { return options_.origin; }
  bool ready() const noexcept override { return true; }
  // None: batches and tensors are not what it works in. The server's metrics say what it did.
  model::Statistics statistics() const override { return {}; }
  std::optional<model::Refusal> refusal() const noexcept override;
  // kInvalidArgument: tensors are not what it answers.
  Task<model::InferResponse> infer(model::InferRequest request) override;

  engine::LanguageModel& language() noexcept override { return *model_; }
  std::unique_ptr<Completion> start(CompletionRequest request) override;
  Coming coming() override { return Coming(coming_); }
  LanguageLoad load() const noexcept override;
  int window() const noexcept override { return window_; }
  const std::vector<std::string>& adapters() const noexcept override { return options_.adapters; }

 private:
  class Answer;
  struct Request;
  struct Loop final : Work {
    explicit Loop(ScheduledLanguage& its_owner) noexcept : owner(its_owner) {}
    ScheduledLanguage& owner;
  };

  void wake() noexcept;
  // On the lane, from here on.
  void turn() noexcept;
  bool step();
  void gather() const;
  void take_in();
  void enlist(std::shared_ptr<Request> request, std::vector<engine::Token> tokens);
  void drop_unwanted();
  bool carry_out(const Plan& plan);
  bool decode(const Plan& plan);
  void give(const Plan& plan);
  bool give(const Plan::Output& output);
  void guess(Request& request, const Plan::Output& output, engine::Token token, bool right);
  void count_guesses(Request& request, const Plan::Output& output);
  void end(int job);
  void shift(int job);
  void fail_all(const Error& error);
  void publish() noexcept;

  // Constant after construction.
  const std::shared_ptr<engine::LanguageModel> model_;
  const ScheduledLanguageOptions options_;
  const engine::Signature signature_;
  const std::vector<std::string> labels_;
  const std::unique_ptr<engine::LanguageContext> context_;
  const int window_;

  // The lane's.
  Scheduler scheduler_;
  KvMemory memory_;
  StepPace pace_;
  ThreadPace threads_;
  std::unique_ptr<PrefixSaver> saver_;  // null: none
  bool restored_ = false;
  std::vector<std::shared_ptr<Request>> requests_;  // by job
  std::vector<std::shared_ptr<Request>> taken_in_;

  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Request>> arrivals_;  // guarded by mutex_

  const std::shared_ptr<std::atomic<int>> coming_ = std::make_shared<std::atomic<int>>(0);
  StopSource stop_;
  std::atomic<bool> posted_{false};  // the loop is queued or runs
  std::atomic<int> waiting_{0};
  std::atomic<int> running_{0};
  std::atomic<int> tokens_{0};
  std::atomic<int> tokens_in_use_{0};
  std::atomic<std::int64_t> guessed_{0};
  std::atomic<std::int64_t> guessed_right_{0};
  Loop loop_{*this};
  Lane lane_;  // last: its end is the end of every step
};

}  // namespace baozi::llm
