// LanguageServable: a language model as it is found in the Repository. Its infer() refuses; start()
// is the way in.
//
// Thread safety: all methods, from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "baozi/llm/completion.h"
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
