// AnswerLog: an answer of a language model that one writes and any number read, each from its
// beginning and at its own pace. When the last reader goes before the end, the writer is told to
// stop.
//
// Thread safety: all methods; one writer. A reader belongs to one task at a time.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/coro/context.h"
#include "baozi/coro/event.h"
#include "baozi/coro/stop.h"
#include "baozi/llm/cached_answer.h"

namespace baozi::llm {

class AnswerLog : public std::enable_shared_from_this<AnswerLog> {
 public:
  AnswerLog() = default;
  // One that is whole already, and was kept for so long.
  AnswerLog(CachedAnswer answer, Duration age);

  // What the writer works under.
  const Context& context() const noexcept { return context_; }
  void add(CompletionPiece piece, const CompletionUsage& usage);
  // `retry_after_s`: when there may be room, where there was none; 0: it was not that.
  void fail(const Error& error, int retry_after_s = 0);
  // All that came, when it has ended well.
  std::optional<CachedAnswer> whole() const;

  // Null when it is no more to be joined: it has failed, or all its readers have left.
  std::unique_ptr<Completion> join();

 private:
  class Reader;

  void leave(Reader& reader) noexcept;
  void wake_locked();

  const std::optional<Duration> age_;
  StopSource stop_;
  const Context context_{stop_.token(), kNever, nullptr};
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::vector<CompletionPiece> pieces_;
  CompletionUsage usage_;
  std::optional<Error> error_;
  int retry_after_s_ = 0;
  std::vector<Reader*> readers_;
  bool left_ = false;  // the last reader went before the end
};

}  // namespace baozi::llm
