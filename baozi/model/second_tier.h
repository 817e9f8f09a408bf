// SecondTier: answers that other processes share (Redis, baozi/redis). It may be slow, gone or full
// of garbage; nobody waits for it longer than its own budget, and what it gives is looked at before
// it is believed (cache_record.h).
//
// Thread safety: all methods, from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "baozi/base/bytes.h"
#include "baozi/coro/task.h"
#include "baozi/model/cache_key.h"

namespace baozi::model {

class SecondTier {
 public:
  // Told of an entry; runs on a thread of the tier's.
  using Sink = std::function<void(const CacheKey& key, Bytes record)>;

  virtual ~SecondTier() = default;

  // The record of `key`; nothing when there is none, or none within the budget. Errors: only the
  // awaiting task's own stop.
  virtual Task<std::optional<Bytes>> get(CacheKey key) = 0;
  // Soon, or not at all when too much waits already. `group`: which entries are pulled together.
  virtual void put(const CacheKey& group, const CacheKey& key, Bytes record,
                   std::chrono::milliseconds ttl) noexcept = 0;
  // `key` was used so many times more.
  virtual void used(const CacheKey& group, const CacheKey& key, std::uint32_t times) noexcept = 0;
  virtual void remove(const CacheKey& group, const CacheKey& key) noexcept = 0;
  // Gives the group's most used entries to `sink`, in the background; `sink` is callable as long as
  // the tier lives.
  virtual void pull(const CacheKey& group, Sink sink) noexcept = 0;
};

}  // namespace baozi::model
