// SampleReservoir: a few samples of each of the most frequent shapes, out of a stream of requests
// of any length, within a bound of bytes. A pure core: its random numbers follow from a seed.
//
// Which shapes are the most frequent: Space-Saving (Metwally, Agrawal, El Abbadi 2005): a bounded
// number of counters; a new shape takes over the smallest one, and its count. A shape that makes up
// more than 1/kShapesMax of the stream is among them.
// Which of a shape's requests: a uniform sample, Vitter's Algorithm R (1985).
//
//   if (SampleReservoir::Place* place = reservoir.offer(key, bytes)) place->inputs = copy(inputs);
//
// Thread safety: by its owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "baozi/base/tensor.h"

namespace baozi::model {

class SampleReservoir {
 public:
  static constexpr std::size_t kShapesMax = 32;
  static constexpr std::size_t kSamplesEach = 4;

  struct Place {
    Tensors inputs;
    std::size_t bytes = 0;
  };

  explicit SampleReservoir(std::size_t bytes_max, std::uint64_t seed = 1)
      : bytes_max_(bytes_max), random_(seed) {}

  // A request of a shape came; `bytes` is what its copy would take. Where the copy belongs, instead
  // of what is there; null: it is not wanted. The place is valid until the next call.
  Place* offer(std::uint64_t shape, std::size_t bytes);

  // Of the most frequent shape first.
  std::vector<const Place*> samples() const;
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct Counter {
    std::uint64_t shape = 0;
    std::uint64_t count = 0;  // at most as much too high as the smallest one was at its takeover
    std::uint64_t seen = 0;   // since then
    std::vector<Place> places;
  };

  Counter& counter_of(std::uint64_t shape);
  std::uint64_t random_below(std::uint64_t limit) noexcept;

  const std::size_t bytes_max_;
  std::uint64_t random_;
  std::vector<Counter> counters_;
  std::size_t bytes_ = 0;
};

}  // namespace baozi::model
