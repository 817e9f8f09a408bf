#include "baozi/model/frequency_sketch.h"

#include <algorithm>
#include <bit>

namespace baozi::model {

FrequencySketch::FrequencySketch(std::size_t keys)
    : width_(std::bit_ceil(std::max<std::size_t>(keys, 16))), halve_after_(10 * width_) {
  counters_.resize(width_ * kRows);
}

// Keys are hashes already: the rows take other combinations of their halves (Kirsch, Mitzenmacher,
// "Less Hashing, Same Performance", 2006).
std::size_t FrequencySketch::place(const CacheKey& key, int row) const noexcept {
  const std::uint64_t mixed = key.low + static_cast<std::uint64_t>(row) * (key.high | 1);
  return static_cast<std::size_t>(row) * width_ + ((mixed ^ (mixed >> 32)) & (width_ - 1));
}

// Only the least counters grow ("conservative update"): the others count another key as well.
void FrequencySketch::add(const CacheKey& key) noexcept {
  const int least = count(key);
  if (least < kCountMax) {
    for (int row = 0; row < kRows; ++row) {
      std::uint8_t& counter = counters_[place(key, row)];
      if (counter == least) ++counter;
    }
  }
  if (++added_ >= halve_after_) halve();
}

int FrequencySketch::count(const CacheKey& key) const noexcept {
  int least = kCountMax;
  for (int row = 0; row < kRows; ++row) least = std::min<int>(least, counters_[place(key, row)]);
  return least;
}

void FrequencySketch::halve() noexcept {
  for (std::uint8_t& counter : counters_) counter /= 2;
  added_ /= 2;
}

}  // namespace baozi::model
