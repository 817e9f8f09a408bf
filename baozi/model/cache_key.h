// CacheKey: what two requests have in common that get the same answer. A 128-bit hash (XXH3) of who
// answers, of who asks, and of the request in a canonical form: its inputs by name, whatever their
// order; type, shape and bytes of each, so that JSON and binary forms of one request are equal; the
// parameters; the wanted outputs, whatever their order. Not part of it: the id, the priority, the
// deadline, and how the answer is to be written.
//
// Thread safety: values and free functions.
//
//   const CacheKey scope = cache_scope("resnet", "1", digest);
//   const CacheKey key = cache_key(scope, request);
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "baozi/model/request.h"

namespace baozi::model {

struct CacheKey {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend bool operator==(const CacheKey&, const CacheKey&) = default;
};

struct CacheKeyHash {
  std::size_t operator()(const CacheKey& key) const noexcept { return key.low; }
};

std::string to_string(const CacheKey& key);  // 32 hexadecimal digits

// Who answers: a model's name, its version and what stands for its content (a digest of its files).
// Other content, other keys: a reloaded model never gives an answer of its predecessor.
CacheKey cache_scope(std::string_view model, std::string_view version, std::string_view identity);

// `scope` stands for the request's model and version, which are not looked at.
CacheKey cache_key(const CacheKey& scope, const InferRequest& request);

}  // namespace baozi::model
