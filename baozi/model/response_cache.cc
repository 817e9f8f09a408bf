#include "baozi/model/response_cache.h"

#include <algorithm>
#include <utility>

namespace baozi::model {
namespace {

// The sketch is made for as many entries of this size as the budget holds.
constexpr std::size_t kTypicalBytes = 4096;
constexpr std::size_t kSketchKeysMax = 1 << 20;
// An answer that needs more than so many others to go is refused.
constexpr std::size_t kVictimsMax = 1024;

std::size_t bytes_of(const ResponseCache::Answer& answer) noexcept {
  return answer.bytes.size() + ResponseCache::kEntryBytes;
}

}  // namespace

ResponseCache::ResponseCache(ResponseCacheOptions options)
    : options_(options),
      sketch_(std::clamp<std::size_t>(options.bytes_max / kTypicalBytes, 1024, kSketchKeysMax)) {}

ResponseCache::Found ResponseCache::find(const CacheKey& key, Time now) {
  std::vector<Bytes> gone;  // freed after the lock is released
  const std::lock_guard lock(mutex_);
  sketch_.add(key);
  const auto at = entries_.find(key);
  if (at == entries_.end()) return {};
  Entry& entry = at->second;
  if (entry.answer.expires <= now) {
    ++counters_.expired;
    erase_locked(entry, gone);
    return {.answer = std::nullopt, .expired = true, .uses = 0};
  }
  unlink_locked(entry);
  link_newest_locked(entry);
  return {.answer = entry.answer, .expired = false, .uses = ++entry.uses};
}

std::optional<ResponseCache::Answer> ResponseCache::peek(const CacheKey& key, Time now) const {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(key);
  if (at == entries_.end() || at->second.answer.expires <= now) return std::nullopt;
  return at->second.answer;
}

bool ResponseCache::put(const CacheKey& key, Answer answer, Time now) {
  std::vector<Bytes> gone;
  const std::size_t bytes = bytes_of(answer);
  const std::lock_guard lock(mutex_);
  if (const auto at = entries_.find(key); at != entries_.end()) erase_locked(at->second, gone);
  if (answer.expires <= now || bytes > options_.bytes_max / kShareMax ||
      !make_room_locked(key, bytes, now, gone)) {
    ++counters_.refused;
    return false;
  }
  Entry& entry = entries_[key];
  entry.key = key;
  entry.answer = std::move(answer);
  link_newest_locked(entry);
  counters_.bytes += bytes;
  ++counters_.entries;
  ++counters_.stored;
  return true;
}

// Whether there is room for `bytes` now. What has expired is given up for nothing; the rest only
// when all of it together is wanted less.
bool ResponseCache::make_room_locked(const CacheKey& key, std::size_t bytes, Time now,
                                     std::vector<Bytes>& gone) {
  if (counters_.bytes + bytes <= options_.bytes_max) return true;
  const int wanted = sketch_.count(key);
  int given_up = 0;
  std::size_t freed = 0;
  std::vector<Entry*> victims;
  for (Entry* each = oldest_;
       each != nullptr && counters_.bytes - freed + bytes > options_.bytes_max;
       each = each->newer) {
    if (victims.size() == kVictimsMax) return false;
    if (each->answer.expires > now) {
      given_up += sketch_.count(each->key);
      if (given_up >= wanted) return false;
    }
    freed += bytes_of(each->answer);
    victims.push_back(each);
  }
  for (Entry* victim : victims) {
    ++(victim->answer.expires > now ? counters_.evicted : counters_.expired);
    erase_locked(*victim, gone);
  }
  return true;
}

void ResponseCache::remove(const CacheKey& key) {
  std::vector<Bytes> gone;
  const std::lock_guard lock(mutex_);
  if (const auto at = entries_.find(key); at != entries_.end()) erase_locked(at->second, gone);
}

ResponseCache::Counters ResponseCache::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

void ResponseCache::erase_locked(Entry& entry, std::vector<Bytes>& gone) {
  unlink_locked(entry);
  counters_.bytes -= bytes_of(entry.answer);
  --counters_.entries;
  gone.push_back(std::move(entry.answer.bytes));
  entries_.erase(CacheKey(entry.key));
}

void ResponseCache::link_newest_locked(Entry& entry) noexcept {
  entry.newer = nullptr;
  entry.older = newest_;
  (newest_ != nullptr ? newest_->newer : oldest_) = &entry;
  newest_ = &entry;
}

void ResponseCache::unlink_locked(Entry& entry) noexcept {
  (entry.older != nullptr ? entry.older->newer : oldest_) = entry.newer;
  (entry.newer != nullptr ? entry.newer->older : newest_) = entry.older;
}

}  // namespace baozi::model
