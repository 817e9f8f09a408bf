// LatencyModel: what a model was seen to take for a batch, by rows, and so which batch size pays
// best.
//
// Sizes are kept apart in steps of powers of two with half steps (1, 2, 3, 4, 6, 8, 12 …), and
// batches that ran while all instances were busy apart from those that had the machine for
// themselves: cores that share caches and memory are slower together, and comparing a lonely batch
// of 1 with a crowded batch of 8 would always favour the small one.
//
// A pure value: no clock. Thread safety: by its owner.
#pragma once

#include <array>
#include <cstdint>

#include "baozi/base/clock.h"

namespace baozi::pipeline {

class LatencyModel {
 public:
  static constexpr int kSizesMax = 24;
  static constexpr int kRowsMax = 4096;
  // A size counts as measured from so many batches on; the first run of a size is often slow.
  static constexpr std::uint32_t kSamplesEnough = 3;
  // A larger size must pay more than this above a smaller one to be preferred: the smaller one
  // answers sooner.
  static constexpr double kWorthwhile = 1.015;

  // `rows_max` in [1, kRowsMax].
  explicit LatencyModel(int rows_max);

  // `loaded`: all instances were busy when the batch began.
  void record(int rows, bool loaded, Duration latency) noexcept;

  bool empty() const noexcept { return recorded_ == 0; }
  // What a batch of `rows` is expected to take; zero while nothing is known. Never decreases with
  // `rows`.
  Duration estimate(int rows, bool loaded) const noexcept;
  // Expected rows per second, 0 while nothing is known.
  double rate(int rows, bool loaded) const noexcept;

  // The size in [1, limit] with the best rate whose latency stays within `latency_max` (zero: no
  // bound); 1 when none does. Equal rates go to the smaller size. While nothing is known: 1.
  int best_rows(int limit, bool loaded, Duration latency_max) const noexcept;
  // The size above or below `best`, within `limit`, that was not measured enough; 0 when both are.
  int unmeasured_neighbour(int best, int limit, bool loaded) const noexcept;
  // The size within `limit` that was not measured for the longest time.
  int stalest(int limit, bool loaded) const noexcept;

 private:
  struct Cell {
    double ns = 0;
    std::uint32_t samples = 0;
    std::uint64_t last = 0;  // recorded_ at the last sample
  };
  using Row = std::array<Cell, kSizesMax>;

  int index_near(int rows) const noexcept;
  double measured_ns(const Row& row, int rows) const noexcept;
  double estimate_ns(int rows, bool loaded) const noexcept;

  std::array<int, kSizesMax> sizes_{};
  int count_ = 0;
  std::array<Row, 2> cells_{};  // [loaded]
  std::uint64_t recorded_ = 0;
};

}  // namespace baozi::pipeline
