#include "baozi/pipeline/latency_model.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace baozi::pipeline {
namespace {

constexpr double kSlowestStep = 1.0 / 16;  // weight of a new sample once there are many
constexpr double kInexactWeight = 0.25;    // a batch of 7 says something, but less, about 8
constexpr double kOutlier =
    2.0;  // a sample counts as at most this much slower or faster than expected

}  // namespace

LatencyModel::LatencyModel(int rows_max) {
  assert(rows_max >= 1 && rows_max <= kRowsMax);
  for (int power = 1; power <= rows_max; power *= 2) {
    sizes_[static_cast<std::size_t>(count_++)] = power;
    const int half_step = power + power / 2;
    if (power > 1 && half_step <= rows_max) sizes_[static_cast<std::size_t>(count_++)] = half_step;
  }
  if (sizes_[static_cast<std::size_t>(count_ - 1)] != rows_max)
    sizes_[static_cast<std::size_t>(count_++)] = rows_max;
  assert(count_ <= kSizesMax);
}

int LatencyModel::index_near(int rows) const noexcept {
  const auto end = sizes_.begin() + count_;
  const auto above = std::lower_bound(sizes_.begin(), end, rows);
  if (above == end) return count_ - 1;
  const int at = static_cast<int>(above - sizes_.begin());
  if (at > 0 && rows - sizes_[static_cast<std::size_t>(at - 1)] < *above - rows) return at - 1;
  return at;
}

void LatencyModel::record(int rows, bool loaded, Duration latency) noexcept {
  if (rows < 1) return;
  const auto at = static_cast<std::size_t>(index_near(rows));
  Cell& cell = cells_[loaded ? 1 : 0][at];
  const double ns = static_cast<double>(latency / std::chrono::nanoseconds(1)) * sizes_[at] / rows;
  ++recorded_;
  cell.last = recorded_;
  if (cell.samples == 0) {
    cell.ns = ns;
    cell.samples = 1;
    return;
  }
  // The first runs of a size are often slow; they must not be remembered.
  if (cell.samples < kSamplesEnough && ns < cell.ns / kOutlier) cell.ns = ns;
  const double weight = rows == sizes_[at] ? 1.0 : kInexactWeight;
  const double step = std::max(1.0 / (cell.samples + 1), kSlowestStep) * weight;
  cell.ns += step * (std::clamp(ns, cell.ns / kOutlier, cell.ns * kOutlier) - cell.ns);
  ++cell.samples;
}

// Between two measured sizes: the line through them. Beyond the largest: as many rows per second as
// it. Below the smallest: what the smallest takes.
double LatencyModel::measured_ns(const Row& row, int rows) const noexcept {
  int below = -1;
  int above = -1;
  for (int i = 0; i < count_; ++i) {
    if (row[static_cast<std::size_t>(i)].samples == 0) continue;
    if (sizes_[static_cast<std::size_t>(i)] <= rows) below = i;
    if (sizes_[static_cast<std::size_t>(i)] >= rows && above < 0) above = i;
  }
  const auto ns = [&](int i) { return row[static_cast<std::size_t>(i)].ns; };
  const auto size = [&](int i) { return static_cast<double>(sizes_[static_cast<std::size_t>(i)]); };
  if (below < 0) return above < 0 ? 0 : ns(above);
  if (above < 0) return ns(below) * rows / size(below);
  if (below == above) return ns(below);
  return ns(below) + (ns(above) - ns(below)) * (rows - size(below)) / (size(above) - size(below));
}

double LatencyModel::estimate_ns(int rows, bool loaded) const noexcept {
  const Row* row = &cells_[loaded ? 1 : 0];
  const auto known = [](const Row& r) {
    return std::ranges::any_of(r, [](const Cell& c) { return c.samples > 0; });
  };
  if (!known(*row)) row = &cells_[loaded ? 0 : 1];
  double ns = measured_ns(*row, rows);
  // More rows never take less time; where noise says so, the smaller size's figure holds.
  for (int i = 0; i < count_ && sizes_[static_cast<std::size_t>(i)] < rows; ++i) {
    const Cell& cell = (*row)[static_cast<std::size_t>(i)];
    if (cell.samples > 0) ns = std::max(ns, cell.ns);
  }
  return ns;
}

Duration LatencyModel::estimate(int rows, bool loaded) const noexcept {
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double, std::nano>(estimate_ns(rows, loaded)));
}

double LatencyModel::rate(int rows, bool loaded) const noexcept {
  const double ns = estimate_ns(rows, loaded);
  return ns > 0 ? rows * 1e9 / ns : 0;
}

int LatencyModel::best_rows(int limit, bool loaded, Duration latency_max) const noexcept {
  int best = 1;
  double best_rate = rate(1, loaded);
  const auto consider = [&](int rows) {
    if (latency_max > Duration::zero() && estimate(rows, loaded) > latency_max) return;
    const double rows_rate = rate(rows, loaded);
    if (rows_rate <= best_rate * kWorthwhile) return;
    best = rows;
    best_rate = rows_rate;
  };
  for (int i = 1; i < count_ && sizes_[static_cast<std::size_t>(i)] <= limit; ++i) {
    consider(sizes_[static_cast<std::size_t>(i)]);
  }
  consider(limit);
  return best;
}

int LatencyModel::unmeasured_neighbour(int best, int limit, bool loaded) const noexcept {
  const Row& row = cells_[loaded ? 1 : 0];
  const int at = index_near(best);
  if (row[static_cast<std::size_t>(at)].samples < kSamplesEnough)
    return 0;  // first the size itself
  for (const int i : {at + 1, at - 1}) {
    if (i < 0 || i >= count_ || sizes_[static_cast<std::size_t>(i)] > limit) continue;
    if (row[static_cast<std::size_t>(i)].samples < kSamplesEnough)
      return sizes_[static_cast<std::size_t>(i)];
  }
  return 0;
}

int LatencyModel::stalest(int limit, bool loaded) const noexcept {
  const Row& row = cells_[loaded ? 1 : 0];
  int stalest = 0;
  for (int i = 1; i < count_ && sizes_[static_cast<std::size_t>(i)] <= limit; ++i) {
    if (row[static_cast<std::size_t>(i)].last < row[static_cast<std::size_t>(stalest)].last)
      stalest = i;
  }
  return sizes_[static_cast<std::size_t>(stalest)];
}

}  // namespace baozi::pipeline
