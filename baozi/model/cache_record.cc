#include "baozi/model/cache_record.h"

#include <cassert>
#include <cstring>

#include "baozi/model/hasher.h"

namespace baozi::model {
namespace {

struct Head {
  char magic[8];
  CacheKey checksum;  // of all that follows
  CacheKey key;
  std::uint64_t size;  // of the answer
  std::int64_t stored_ms;
  std::int64_t expires_ms;
};
static_assert(sizeof(Head) == kRecordHeadBytes);
constexpr char kMagic[8] = {'b', 'a', 'o', 'z', 'i', 'R', 'C', '1'};
constexpr std::size_t kHashedFrom = offsetof(Head, key);

CacheKey checksum_of(const Head& head, const std::byte* answer, std::size_t size) noexcept {
  Hasher hasher;
  hasher.add_bytes(reinterpret_cast<const char*>(&head) + kHashedFrom, sizeof head - kHashedFrom);
  hasher.add_bytes(answer, size);
  return hasher.digest();
}

}  // namespace

void seal_record(Bytes& block, const CacheKey& key, std::int64_t stored_ms,
                 std::int64_t expires_ms) {
  assert(block.size() >= kRecordHeadBytes);
  const std::size_t size = block.size() - kRecordHeadBytes;
  Head head{{}, {}, key, size, stored_ms, expires_ms};
  std::memcpy(head.magic, kMagic, sizeof kMagic);
  head.checksum = checksum_of(head, block.data() + kRecordHeadBytes, size);
  std::memcpy(block.mutable_data(), &head, sizeof head);
}

std::optional<CacheRecord> open_record(const Bytes& block, const CacheKey& key) {
  if (block.size() < kRecordHeadBytes) return std::nullopt;
  Head head;
  std::memcpy(&head, block.data(), sizeof head);
  const std::size_t size = block.size() - kRecordHeadBytes;
  if (std::memcmp(head.magic, kMagic, sizeof kMagic) != 0 || head.key != key || head.size != size ||
      head.expires_ms <= head.stored_ms) {
    return std::nullopt;
  }
  if (checksum_of(head, block.data() + kRecordHeadBytes, size) != head.checksum)
    return std::nullopt;
  return CacheRecord{block.slice(kRecordHeadBytes, size), head.stored_ms, head.expires_ms};
}

}  // namespace baozi::model
