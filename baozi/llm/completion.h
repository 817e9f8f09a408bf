// What is asked of a language model that serves many, and how its answer comes.
//
// Thread safety: values; a Completion by one task at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "baozi/base/clock.h"
#include "baozi/coro/task.h"
#include "baozi/engine/language.h"
#include "baozi/llm/finish.h"
#include "baozi/model/request.h"

namespace baozi::llm {

// What to do with a prompt and an answer that the context window cannot hold.
enum class Overflow : std::uint8_t {
  kRefuse,    // kInvalidArgument, before anything is computed
  kTruncate,  // the prompt loses tokens behind its first quarter until half the window is free
  kShift,  // as kTruncate, and the answer, where it reaches the end, goes on over its latest half
};

struct CompletionRequest {
  std::vector<engine::Token> prompt;
  int max_tokens = -1;  // of the answer; -1: what the window holds
  engine::Sampling sampling = {};
  std::vector<std::string> stops = {};  // the answer ends before the first of them
  bool ignore_end = false;              // the model's own end does not end the answer
  int chances = -1;  // log-probabilities: of this many likeliest tokens beside the picked; -1: none
  std::vector<engine::Token> visible = {};  // special tokens that the text shows
  int adapter = 0;                          // of engine::LanguageOptions, from 1; 0: none
  int priority = 0;                         // higher goes first
  std::string client = {};  // who asks: those who got less go first; "": all such are one client
  Overflow overflow = Overflow::kRefuse;
  bool keep = true;  // what is computed for it, for requests that begin alike
  // Of the response cache, as InferRequest's:
  bool repeatable = false;  // the answer is the same each time: temperature 0, or a seed of its own
  model::CacheWish cache = model::CacheWish::kUse;
  std::string tenant = {};
};

// One token's log-probability, and those of the likeliest beside it.
struct TokenChances {
  engine::TokenChance picked;
  std::vector<engine::TokenChance> likeliest;  // descending
};

// What has come since the last.
struct CompletionPiece {
  std::string text;                   // whole characters, and nothing that may begin a stop string
  std::vector<TokenChances> chances;  // one a token, as asked for
  std::optional<Finish> finish;       // set in the last piece
};

struct CompletionUsage {
  int prompt_tokens = 0;
  int cached_tokens = 0;  // of the prompt, which were in the memory already
  int completion_tokens = 0;
  int guessed_tokens = 0;        // computed ahead for the answer
  int guessed_tokens_right = 0;  // of them, those the answer said
};

// An answer on its way. Its destruction ends the work on it within a step.
class Completion {
 public:
  virtual ~Completion() = default;

  // Waits until there is something new. Not after the piece with `finish`. A wait that was stopped
  // has taken nothing. Errors: kCancelled, kDeadlineExceeded (the awaiting task's), kUnavailable
  // (the model is being unloaded), kInternal.
  virtual Task<CompletionPiece> next() = 0;
  // Whole after the last piece; `cached_tokens` from the first one on.
  virtual CompletionUsage usage() const noexcept = 0;
  // Set: the response cache had it, for so long.
  virtual std::optional<Duration> age() const noexcept { return std::nullopt; }
};

}  // namespace baozi::llm
