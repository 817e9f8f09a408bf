// Answers: several completions that answer one request, read side by side.
//
//   while (!answers.ended()) {
//     std::vector<Answers::Piece> pieces = co_await answers.next();
//     …
//   }
//
// Thread safety: by one task at a time.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include "baozi/coro/task.h"
#include "baozi/llm/completion.h"

namespace baozi::api {

class Answers {
 public:
  struct Piece {
    std::size_t index = 0;  // of the completion
    llm::CompletionPiece piece;
  };

  // Each run of `of_one_prompt` completions has one prompt, which counts once. Precondition: there
  // is a completion.
  Answers(std::vector<std::unique_ptr<llm::Completion>> completions, std::size_t of_one_prompt);

  // Waits until there is something new: a piece at least. Precondition: not ended. Errors: the
  // first that a completion gives.
  Task<std::vector<Piece>> next();
  bool ended() const noexcept;

  std::size_t size() const noexcept { return slots_.size(); }
  // Of all together; whole at the end.
  llm::CompletionUsage usage() const noexcept;
  // Set: the response cache had all of them, the oldest for so long.
  std::optional<Duration> age() const noexcept;

 private:
  struct Slot {
    std::unique_ptr<llm::Completion> completion;
    std::optional<llm::CompletionPiece> piece;  // read, and not yet given on
    std::exception_ptr error;
    bool ended = false;
  };

  static Task<void> read(Slot* slot);

  std::vector<Slot> slots_;
  const std::size_t of_one_prompt_;
};

}  // namespace baozi::api
