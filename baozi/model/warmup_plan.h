// WarmupPlan: which batches warm a model up, in which order, and when it is warm. A pure core: no
// clock, thread or coroutine; pipeline/model_warmup drives it.
//
// A cell is one instance × one shape × one batch size. Sizes are those the batcher tells apart: the
// powers of two up to max_batch, and max_batch; and half steps between them (3, 6, 12 …). Each
// instance has cells of its own and works through them beside the others: the smallest size of
// every shape first, then the next; half steps come last. A cell is run until it has converged, or
// its share of the budget is spent: the time left, divided by the cells left, so that what quick
// cells leave over goes to slow ones. A batch that would not end within the budget, by what the
// same shape took in a smaller size, is not begun.
//
// Converged: the median of the last 3 runs lies within 10 % of that of the 3 before them, or within
// 50 µs, which is as much as waking a thread costs. The median, because one run in a few is
// disturbed; two windows, because the first runs get faster one by one.
//
//   WarmupPlan plan(instances, {1, 1}, 32, 500ms);       two shapes, samples of one row each
//   while (const auto run = plan.next(instance, elapsed)) {
//     … run it …
//     plan.took(instance, *run, duration);
//   }
//
// Thread safety: by its owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "baozi/base/clock.h"

namespace baozi::model {

struct WarmupRun {
  std::size_t cell = 0;  // of its instance
  std::size_t shape = 0;
  int copies = 1;  // samples of the shape in one batch
  int rows = 1;
  int number = 0;  // runs of the cell before this one
};

// How far it came.
struct WarmupReport {
  std::size_t cells = 0;
  std::size_t converged = 0;
  std::size_t unsteady = 0;  // ran, but their latency still moved when their time was over
  std::size_t skipped = 0;   // never ran: no time was left, or their sample was refused
  std::size_t runs = 0;
};

class WarmupPlan {
 public:
  static constexpr std::size_t kWindow = 3;  // runs of a median
  static constexpr double kSteady = 0.10;
  static constexpr Duration kNoise = std::chrono::microseconds(50);
  static constexpr int kRunsMax = 64;  // of a cell

  // `rows`: of one sample of each shape. Preconditions: instances >= 1, max_batch >= 1, all rows in
  // [1, max_batch].
  WarmupPlan(int instances, std::span<const int> rows, int max_batch, Duration budget);

  // What the instance should run next, `elapsed` after the warm-up began; nothing: it is done.
  std::optional<WarmupRun> next(int instance, Duration elapsed);
  void took(int instance, const WarmupRun& run, Duration duration);
  // The shape's sample cannot be run: none of its cells is run again.
  void drop_shape(std::size_t shape);

  // In [0, 1], never less than before.
  double progress(Duration elapsed) noexcept;
  WarmupReport report() const noexcept;

  // The latencies of 2 * kWindow runs, oldest first.
  static bool converged(std::span<const Duration> latest);

 private:
  enum class Phase : std::uint8_t { kWaiting, kRunning, kConverged, kUnsteady, kSkipped };
  struct Cell {
    std::size_t shape = 0;
    int copies = 1;
    int rows = 1;
    Phase phase = Phase::kWaiting;
    int runs = 0;
    Duration spent{};
    Duration share{};
    std::vector<Duration> latest;  // at most 2 * kWindow
  };
  struct Instance {
    std::vector<Cell> cells;
    std::size_t at = 0;  // those before it are done
  };

  // Whether the cell is to run once more; sets its phase when not.
  bool goes_on(const Instance& instance, Cell& cell, Duration left) const;
  static Duration expected(const Instance& instance, const Cell& cell);

  const Duration budget_;
  std::vector<Instance> instances_;
  double progress_ = 0;
};

}  // namespace baozi::model
