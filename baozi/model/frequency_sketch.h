// FrequencySketch: about how often a key was seen lately, in four counters a key that share their
// places with other keys' (a count-min sketch, of which the least of the four is the estimate).
// Counters stop at 15. When ten times as many keys were counted as the sketch was made for, all
// counts are halved, that one too, so that the past fades. Source: Einziger, Friedman, Manes,
// "TinyLFU: A Highly Efficient Cache Admission Policy", ACM Transactions on Storage 13(4), 2017.
//
// Thread safety: none; ResponseCache holds its lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "baozi/model/cache_key.h"

namespace baozi::model {

class FrequencySketch {
 public:
  static constexpr int kCountMax = 15;

  // For about `keys` keys at once.
  explicit FrequencySketch(std::size_t keys);

  void add(const CacheKey& key) noexcept;
  int count(const CacheKey& key) const noexcept;  // 0 … kCountMax

 private:
  static constexpr int kRows = 4;

  std::size_t place(const CacheKey& key, int row) const noexcept;
  void halve() noexcept;

  std::vector<std::uint8_t> counters_;  // row after row
  std::size_t width_;                   // of a row: a power of two
  std::size_t added_ = 0;               // since the last halving
  std::size_t halve_after_;
};

}  // namespace baozi::model
