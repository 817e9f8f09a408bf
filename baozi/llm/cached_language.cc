#include "baozi/llm/cached_language.h"

#include <exception>
#include <optional>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/model/cache_record.h"
#include "baozi/model/no_room.h"

namespace baozi::llm {
namespace {

using model::CacheKey;
using model::CacheWish;
using Result = model::ModelCache::Result;

}  // namespace

CachedLanguage::CachedLanguage(std::shared_ptr<LanguageServable> inner, model::ModelCache& cache)
    : inner_(std::move(inner)), cache_(cache), scope_(cache.scope_of(*inner_)) {}

std::unique_ptr<Completion> CachedLanguage::start(CompletionRequest request) {
  if (!request.repeatable) return start_inner(std::move(request));
  if (request.cache == CacheWish::kNone) {
    cache_.count(Result::kBypass);
    return start_inner(std::move(request));
  }
  const CacheKey key = answer_key(scope_, request);
  if (request.cache == CacheWish::kUse) {
    const Time now = Clock::now();
    if (const auto found = cache_.find_bytes(scope_, key, now)) {
      if (std::optional<CachedAnswer> answer = decode_answer(found->bytes))
        return std::make_shared<AnswerLog>(*std::move(answer), now - found->stored)->join();
    }
    return join_or_start(key, std::move(request));
  }
  cache_.count(Result::kBypass);
  const Log log = std::make_shared<AnswerLog>();
  std::unique_ptr<Completion> reader = log->join();
  cache_.all().spawn(run(shared_from_this(), log, key, std::move(request)));
  return reader;
}

std::unique_ptr<Completion> CachedLanguage::start_inner(CompletionRequest request) {
  try {
    return inner_->start(std::move(request));
  } catch (const Error& error) {
    if (error.code() != Code::kResourceExhausted) throw;
    throw model::NoRoom(error, model::retry_after_s(*inner_));
  }
}

std::unique_ptr<Completion> CachedLanguage::join_or_start(const CacheKey& key,
                                                          CompletionRequest request) {
  Log log;
  std::unique_ptr<Completion> reader;
  {
    const std::lock_guard lock(mutex_);
    Log& slot = logs_[key];
    if (slot != nullptr) reader = slot->join();
    if (reader != nullptr) {
      cache_.count(Result::kJoined);
      return reader;
    }
    log = slot = std::make_shared<AnswerLog>();
    reader = log->join();
  }
  cache_.all().spawn(run(shared_from_this(), log, key, std::move(request)));
  return reader;
}

// In the nursery of the caches; throws nothing.
Task<void> CachedLanguage::run(std::shared_ptr<CachedLanguage> self, Log log, CacheKey key,
                               CompletionRequest request) {
  try {
    Task<void> writing = self->write(log, key, std::move(request)).with_context(log->context());
    co_await std::move(writing);
  } catch (const Error& error) {
    const bool full = error.code() == Code::kResourceExhausted;
    log->fail(error, full ? model::retry_after_s(*self->inner_) : 0);
  } catch (const std::exception& error) {
    log->fail(Error(Code::kInternal, error.what()));
  }
  const std::lock_guard lock(self->mutex_);
  const auto at = self->logs_.find(key);
  if (at != self->logs_.end() && at->second == log) self->logs_.erase(at);
}

Task<void> CachedLanguage::write(Log log, CacheKey key, CompletionRequest request) {
  if (request.cache == CacheWish::kUse) {
    Task<std::optional<model::ResponseCache::Answer>> fetching = cache_.fetch_bytes(scope_, key);
    const std::optional<model::ResponseCache::Answer> found = co_await std::move(fetching);
    std::optional<CachedAnswer> answer;
    if (found) answer = decode_answer(found->bytes);
    cache_.count(answer ? Result::kHit : Result::kMiss);
    if (answer) {
      log->add(std::move(answer->whole), answer->usage);
      co_return;
    }
  }
  const std::unique_ptr<Completion> completion = inner_->start(std::move(request));
  bool ended = false;
  while (!ended) {
    CompletionPiece piece = co_await completion->next();
    ended = piece.finish.has_value();
    log->add(std::move(piece), completion->usage());
  }
  if (const std::optional<CachedAnswer> whole = log->whole())
    cache_.store_bytes(scope_, key, encode_answer(*whole, model::kRecordHeadBytes));
}

}  // namespace baozi::llm
