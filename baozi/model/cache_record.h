// CacheRecord: a cached answer on its way to another process (Redis): what it is the answer to,
// since when and until when it is good, and a checksum over all of it. Whatever bytes come back,
// only those that were written for this key are taken.
//
// Format, little-endian, 64 bytes, then the answer: "baoziRC1"; XXH3-128 of what follows; the key;
// the answer's size; milliseconds since the epoch when it was stored, and when it expires.
//
// Thread safety: free functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "baozi/base/bytes.h"
#include "baozi/model/cache_key.h"

namespace baozi::model {

struct CacheRecord {
  Bytes answer;
  std::int64_t stored_ms = 0;   // since the epoch, by the writer's clock
  std::int64_t expires_ms = 0;  // after stored_ms
};

inline constexpr std::size_t kRecordHeadBytes = 64;

// Writes the head into the first kRecordHeadBytes of `block`, behind which the answer lies.
void seal_record(Bytes& block, const CacheKey& key, std::int64_t stored_ms,
                 std::int64_t expires_ms);

// Nothing when the bytes are no whole, undamaged record of this key. The answer shares the block's
// memory.
std::optional<CacheRecord> open_record(const Bytes& block, const CacheKey& key);

}  // namespace baozi::model
