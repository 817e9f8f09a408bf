// ResponseCache: answers by key within a budget of bytes. Which to keep: the least recently used
// goes first, and a new one gets in only when it was asked for more often, lately, than all those
// together that would have to go for it. So a scan of one-off requests does not push out the hot
// ones, and one large answer does not push out many small hot ones. Source: TinyLFU (see
// frequency_sketch.h) with the rule "aggregated victims" of Einziger, Eytan, Friedman, Manes,
// "Lightweight Robust Size Aware Cache Management", ACM Transactions on Storage 18(3), 2022.
//
// Time is what the caller says it is; there is no clock in here, and no thread.
//
//   ResponseCache cache({.bytes_max = 256 << 20});
//   if (auto found = cache.find(key, now).answer) …
//   cache.put(key, {answer, now, now + ttl}, now);
//
// Thread safety: all methods; one lock, held for a few map operations and never while memory of
// answers is freed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "baozi/base/bytes.h"
#include "baozi/base/clock.h"
#include "baozi/model/cache_key.h"
#include "baozi/model/frequency_sketch.h"

namespace baozi::model {

struct ResponseCacheOptions {
  std::size_t bytes_max = std::size_t{256} << 20;  // answers, and kEntryBytes for each
};

class ResponseCache {
 public:
  // What an entry takes beside its answer, about.
  static constexpr std::size_t kEntryBytes = 192;
  // An answer may take this part of the budget at most.
  static constexpr std::size_t kShareMax = 4;

  struct Answer {
    Bytes bytes;
    Time stored;
    Time expires;
  };
  struct Found {
    std::optional<Answer> answer;
    bool expired = false;    // there was one, until now
    std::uint32_t uses = 0;  // of the entry, with this one
  };
  struct Counters {
    std::uint64_t stored = 0, expired = 0, evicted = 0, refused = 0;
    std::size_t entries = 0, bytes = 0;
  };

  explicit ResponseCache(ResponseCacheOptions options);

  // Counts as a use of the key, whether it is there or not.
  Found find(const CacheKey& key, Time now);
  // As find, but counts as nothing: for a second look.
  std::optional<Answer> peek(const CacheKey& key, Time now) const;
  // Replaces what the key has. Whether it was taken in.
  bool put(const CacheKey& key, Answer answer, Time now);
  void remove(const CacheKey& key);

  Counters counters() const;
  std::size_t bytes_max() const noexcept { return options_.bytes_max; }

 private:
  struct Entry {
    CacheKey key;
    Answer answer;
    std::uint32_t uses = 0;
    Entry* newer = nullptr;
    Entry* older = nullptr;
  };

  bool make_room_locked(const CacheKey& key, std::size_t bytes, Time now, std::vector<Bytes>& gone);
  void erase_locked(Entry& entry, std::vector<Bytes>& gone);
  void link_newest_locked(Entry& entry) noexcept;
  void unlink_locked(Entry& entry) noexcept;

  const ResponseCacheOptions options_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::unordered_map<CacheKey, Entry, CacheKeyHash> entries_;
  Entry* newest_ = nullptr;
  Entry* oldest_ = nullptr;
  FrequencySketch sketch_;
  Counters counters_;
};

}  // namespace baozi::model
