#include "baozi/api/answers.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "baozi/coro/race.h"

namespace baozi::api {

Answers::Answers(std::vector<std::unique_ptr<llm::Completion>> completions,
                 std::size_t of_one_prompt)
    : of_one_prompt_(of_one_prompt) {
  assert(!completions.empty() && of_one_prompt > 0);
  slots_.resize(completions.size());
  for (std::size_t i = 0; i < completions.size(); ++i)
    slots_[i].completion = std::move(completions[i]);
}

// The first to have something ends the wait of all. What another one has got by then stays in its
// slot, and a wait that is stopped has taken nothing: no piece is lost.
Task<void> Answers::read(Slot* slot) {
  try {
    llm::CompletionPiece piece = co_await slot->completion->next();
    slot->piece = std::move(piece);
  } catch (const Error& error) {
    if (error.code() == Code::kCancelled) throw;
    slot->error = std::current_exception();
  }
}

Task<std::vector<Answers::Piece>> Answers::next() {
  std::vector<Task<void>> reads;
  for (Slot& slot : slots_) {
    if (!slot.ended) reads.push_back(read(&slot));
  }
  assert(!reads.empty());
  if (reads.size() == 1) {
    co_await std::move(reads.front());
  } else {
    co_await race(std::move(reads));
  }
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.error) std::rethrow_exception(slot.error);
    if (!slot.piece) continue;
    slot.ended = slot.piece->finish.has_value();
    pieces.push_back({i, *std::exchange(slot.piece, std::nullopt)});
  }
  co_return pieces;
}

bool Answers::ended() const noexcept {
  return std::ranges::all_of(slots_, [](const Slot& slot) { return slot.ended; });
}

std::optional<Duration> Answers::age() const noexcept {
  std::optional<Duration> oldest = Duration{};
  for (const Slot& slot : slots_) {
    const std::optional<Duration> age = slot.completion->age();
    oldest = age && oldest ? std::max(age, oldest) : std::nullopt;
  }
  return oldest;
}

llm::CompletionUsage Answers::usage() const noexcept {
  llm::CompletionUsage total;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const llm::CompletionUsage one = slots_[i].completion->usage();
    total.completion_tokens += one.completion_tokens;
    total.guessed_tokens += one.guessed_tokens;
    total.guessed_tokens_right += one.guessed_tokens_right;
    if (i % of_one_prompt_ != 0) continue;
    total.prompt_tokens += one.prompt_tokens;
    total.cached_tokens += one.cached_tokens;
  }
  return total;
}

}  // namespace baozi::api
