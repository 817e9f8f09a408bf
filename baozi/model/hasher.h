// Hasher: XXH3-128 over a sequence of values; each text is preceded by its length, so that no two
// sequences run into the same bytes.
//
// Thread safety: a value of one owner. Not for headers: it brings all of xxhash.h.
#pragma once

// The library chooses its widest kernel for the processor (three times the speed of what every
// x86-64 has); elsewhere the inlined one is as good.
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#define XXH_STATIC_LINKING_ONLY
#include <xxh_x86dispatch.h>
#else
#define XXH_INLINE_ALL
#include <xxhash.h>
#endif

#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "baozi/model/cache_key.h"

namespace baozi::model {

class Hasher {
 public:
  Hasher() noexcept { XXH3_128bits_reset(&state_); }

  void add_bytes(const void* data, std::size_t size) noexcept {
    if (size > 0) XXH3_128bits_update(&state_, data, size);
  }
  template <class T>
    requires std::is_arithmetic_v<T>
  void add(T value) noexcept {
    add_bytes(&value, sizeof value);
  }
  void add(std::string_view text) noexcept {
    add(static_cast<std::uint64_t>(text.size()));
    add_bytes(text.data(), text.size());
  }
  void add(const CacheKey& key) noexcept {
    add(key.high);
    add(key.low);
  }

  CacheKey digest() const noexcept {
    const XXH128_hash_t hash = XXH3_128bits_digest(&state_);
    return {hash.high64, hash.low64};
  }

 private:
  XXH3_state_t state_;
};

}  // namespace baozi::model
