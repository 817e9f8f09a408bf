// Bytes as a record of the second tier, and as an answer: they are taken or not, and tensors lie
// within them.
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "baozi/model/cache_record.h"
#include "baozi/model/cached_response.h"

namespace {

using baozi::Bytes;

void check(const Bytes& all, const Bytes& part) {
  const std::optional<baozi::model::InferResponse> response = baozi::model::decode_response(part);
  if (!response) return;
  for (const baozi::NamedTensor& output : response->outputs) {
    const Bytes& data = output.tensor.data();
    if (data.data() < all.data() || data.data() + data.size() > all.data() + all.size())
      std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes all = Bytes::copy_of(std::span(reinterpret_cast<const std::byte*>(data), size));
  check(all, all);
  // The checksum keeps mutations out, so the answer behind a head is tried without it, too.
  if (size > baozi::model::kRecordHeadBytes) {
    const std::size_t head = baozi::model::kRecordHeadBytes;
    check(all, all.slice(head, size - head));
  }
  const baozi::model::CacheKey key{0x0123456789abcdef, 0xfedcba9876543210};
  if (const auto record = baozi::model::open_record(all, key)) check(all, record->answer);
  return 0;
}
