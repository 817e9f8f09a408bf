#include "baozi/llm/answer_log.h"
#include "baozi/model/no_room.h"

#include <iterator>
#include <utility>

namespace baozi::llm {
namespace {

void append(CompletionPiece& to, const CompletionPiece& piece) {
  to.text += piece.text;
  to.chances.insert(to.chances.end(), piece.chances.begin(), piece.chances.end());
  if (piece.finish) to.finish = piece.finish;
}

}  // namespace

AnswerLog::AnswerLog(CachedAnswer answer, Duration age) : age_(age), usage_(answer.usage) {
  pieces_.push_back(std::move(answer.whole));
}

class AnswerLog::Reader final : public Completion {
 public:
  explicit Reader(std::shared_ptr<AnswerLog> log) noexcept : log_(std::move(log)) {}
  ~Reader() override { log_->leave(*this); }

  // All that has come since the last.
  Task<CompletionPiece> next() override {
    while (true) {
      std::optional<CompletionPiece> piece = take();
      if (piece) co_return *std::move(piece);
      co_await grown_.wait();
    }
  }
  CompletionUsage usage() const noexcept override {
    const std::lock_guard lock(log_->mutex_);
    return log_->usage_;
  }
  std::optional<Duration> age() const noexcept override { return log_->age_; }
  void wake() noexcept { grown_.set(); }

 private:
  std::optional<CompletionPiece> take() {
    const std::lock_guard lock(log_->mutex_);
    if (at_ == log_->pieces_.size()) {
      if (log_->error_ && log_->retry_after_s_ > 0)
        throw model::NoRoom(*log_->error_, log_->retry_after_s_);
      if (log_->error_) throw Error(*log_->error_);
      grown_.reset();
      return std::nullopt;
    }
    CompletionPiece piece;
    while (at_ < log_->pieces_.size()) append(piece, log_->pieces_[at_++]);
    return piece;
  }

  const std::shared_ptr<AnswerLog> log_;
  std::size_t at_ = 0;
  Event grown_;
};

void AnswerLog::add(CompletionPiece piece, const CompletionUsage& usage) {
  const std::lock_guard lock(mutex_);
  pieces_.push_back(std::move(piece));
  usage_ = usage;
  wake_locked();
}

void AnswerLog::fail(const Error& error, int retry_after_s) {
  const std::lock_guard lock(mutex_);
  error_ = error;
  retry_after_s_ = retry_after_s;
  wake_locked();
}

// A reader that was woken may go at once, but not from the list while the lock is held.
void AnswerLog::wake_locked() {
  for (Reader* reader : readers_) reader->wake();
}

std::optional<CachedAnswer> AnswerLog::whole() const {
  const std::lock_guard lock(mutex_);
  if (pieces_.empty() || !pieces_.back().finish) return std::nullopt;
  CachedAnswer answer;
  for (const CompletionPiece& piece : pieces_) append(answer.whole, piece);
  answer.usage = usage_;
  return answer;
}

std::unique_ptr<Completion> AnswerLog::join() {
  auto reader = std::make_unique<Reader>(shared_from_this());
  const std::lock_guard lock(mutex_);
  if (error_ || left_) return nullptr;
  readers_.push_back(reader.get());
  return reader;
}

void AnswerLog::leave(Reader& reader) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (std::erase(readers_, &reader) == 0 || !readers_.empty()) return;
    if (error_ || (!pieces_.empty() && pieces_.back().finish)) return;
    left_ = true;
  }
  stop_.request_stop(Code::kCancelled);
}

}  // namespace baozi::llm
