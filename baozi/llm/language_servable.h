// LanguageServable: a language model as it is found in the Repository. Its infer() refuses; start()
// is the way in.
//
// Thread safety: all methods, from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "baozi/llm/completion.h"
#include "baozi/model/repository.h"
#include "baozi/model/servable.h"

namespace baozi::llm {

// How much it has to do.
struct LanguageLoad {
  int waiting = 0;  // requests that have not begun
  int running = 0;  // requests that have
  int running_max = 0;
  int tokens = 0;         // in KV memory, used by anyone or kept for later
  int tokens_in_use = 0;  // of them, those of running requests
  int tokens_max = 0;
  std::int64_t guessed = 0;        // tokens of answers computed ahead, ever
  std::int64_t guessed_right = 0;  // of them, those the answers said
};

class LanguageServable : public model::Servable {
 public:
  // Says that a start() is about to follow, while it lives. Requests that are prepared at the same
  // time then begin in one step, instead of the first one alone and the others in its answer's way.
  class Coming {
   public:
    explicit Coming(std::shared_ptr<std::atomic<int>> count) noexcept : count_(std::move(count)) {
      if (count_ != nullptr) count_->fetch_add(1, std::memory_order_relaxed);
    }
    ~Coming() {
      if (count_ != nullptr) count_->fetch_sub(1, std::memory_order_relaxed);
    }
    Coming(const Coming&) = delete;
    Coming& operator=(const Coming&) = delete;

   private:
    const std::shared_ptr<std::atomic<int>> count_;
  };
  virtual Coming coming() { return Coming(nullptr); }

  virtual engine::LanguageModel& language() noexcept = 0;
  // Errors: kInvalidArgument (an empty prompt, one that the window does not hold, sampling that
  // makes no sense), kResourceExhausted (the queue is full), kUnavailable.
  virtual std::unique_ptr<Completion> start(CompletionRequest request) = 0;
  virtual LanguageLoad load() const noexcept = 0;
  virtual int window() const noexcept = 0;  // tokens of one prompt and answer together
  // Names of what CompletionRequest::adapter chooses from, in its order.
  virtual const std::vector<std::string>& adapters() const noexcept = 0;
};

}  // namespace baozi::llm
