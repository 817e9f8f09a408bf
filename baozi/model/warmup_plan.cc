#include "baozi/model/warmup_plan.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <tuple>
#include <utility>

namespace baozi::model {
namespace {

Duration median(std::span<const Duration> values) {
  std::array<Duration, WarmupPlan::kWindow> sorted{};
  std::ranges::copy(values, sorted.begin());
  std::ranges::sort(sorted);
  return sorted[WarmupPlan::kWindow / 2];
}

struct Size {
  int copies = 1;  // samples of the shape
  bool half_step = false;
};

std::vector<Size> sizes_of(int rows, int max_batch) {
  std::vector<Size> sizes;
  const auto add = [&sizes](int copies, bool half_step) {
    if (std::ranges::find(sizes, copies, &Size::copies) == sizes.end())
      sizes.push_back({copies, half_step});
  };
  for (int size = 1; size < max_batch; size *= 2) add(std::max(1, size / rows), false);
  add(max_batch / rows, false);
  for (int size = 3; size < max_batch; size *= 2) add(std::max(1, size / rows), true);
  return sizes;
}

}  // namespace

WarmupPlan::WarmupPlan(int instances, std::span<const int> rows, int max_batch, Duration budget)
    : budget_(budget), instances_(static_cast<std::size_t>(instances)) {
  assert(instances >= 1 && max_batch >= 1);
  std::vector<std::pair<bool, Cell>> sized;
  for (std::size_t shape = 0; shape < rows.size(); ++shape) {
    assert(rows[shape] >= 1 && rows[shape] <= max_batch);
    for (const Size size : sizes_of(rows[shape], max_batch)) {
      Cell cell;
      cell.shape = shape;
      cell.copies = size.copies;
      cell.rows = size.copies * rows[shape];
      sized.emplace_back(size.half_step, std::move(cell));
    }
  }
  // Equal sizes in the order of their shapes.
  std::ranges::sort(sized, {}, [](const auto& each) {
    return std::tuple(each.first, each.second.rows, each.second.shape);
  });
  for (Instance& instance : instances_) {
    for (const auto& [half_step, cell] : sized) instance.cells.push_back(cell);
  }
}

bool WarmupPlan::converged(std::span<const Duration> latest) {
  assert(latest.size() == 2 * kWindow);
  const Duration before = median(latest.first(kWindow));
  const Duration after = median(latest.last(kWindow));
  const Duration moved = after > before ? after - before : before - after;
  return moved <= kNoise ||
         std::chrono::duration<double>(moved) <= kSteady * std::chrono::duration<double>(before);
}

// By its own last run, else by the largest smaller size of the same shape: as if rows cost alike.
Duration WarmupPlan::expected(const Instance& instance, const Cell& cell) {
  if (!cell.latest.empty()) return cell.latest.back();
  const Cell* known = nullptr;
  for (const Cell& other : instance.cells) {
    if (other.shape != cell.shape || other.latest.empty() || other.rows > cell.rows) continue;
    if (known == nullptr || other.rows > known->rows) known = &other;
  }
  if (known == nullptr) return Duration::zero();
  return *std::ranges::min_element(known->latest) * cell.rows / known->rows;
}

bool WarmupPlan::goes_on(const Instance& instance, Cell& cell, Duration left) const {
  if (cell.phase != Phase::kWaiting && cell.phase != Phase::kRunning) return false;
  if (cell.latest.size() == 2 * kWindow && converged(cell.latest)) {
    cell.phase = Phase::kConverged;
    return false;
  }
  const bool enough = cell.runs > 0 && (cell.spent >= cell.share || cell.runs >= kRunsMax);
  if (!enough && left > Duration::zero() && expected(instance, cell) <= left) return true;
  cell.phase = cell.runs > 0 ? Phase::kUnsteady : Phase::kSkipped;
  return false;
}

std::optional<WarmupRun> WarmupPlan::next(int index, Duration elapsed) {
  Instance& instance = instances_[static_cast<std::size_t>(index)];
  const Duration left = budget_ - elapsed;
  for (; instance.at < instance.cells.size(); ++instance.at) {
    Cell& cell = instance.cells[instance.at];
    if (!goes_on(instance, cell, left)) continue;
    if (cell.phase == Phase::kWaiting) {
      cell.phase = Phase::kRunning;
      cell.share = left / static_cast<Duration::rep>(instance.cells.size() - instance.at);
    }
    return WarmupRun{instance.at, cell.shape, cell.copies, cell.rows, cell.runs};
  }
  return std::nullopt;
}

void WarmupPlan::took(int index, const WarmupRun& run, Duration duration) {
  Cell& cell = instances_[static_cast<std::size_t>(index)].cells[run.cell];
  ++cell.runs;
  cell.spent += duration;
  if (cell.latest.size() == 2 * kWindow) cell.latest.erase(cell.latest.begin());
  cell.latest.push_back(duration);
}

void WarmupPlan::drop_shape(std::size_t shape) {
  for (Instance& instance : instances_) {
    for (Cell& cell : instance.cells) {
      if (cell.shape == shape && (cell.phase == Phase::kWaiting || cell.phase == Phase::kRunning))
        cell.phase = Phase::kSkipped;
    }
  }
}

double WarmupPlan::progress(Duration elapsed) noexcept {
  std::size_t cells = 0;
  std::size_t done = 0;
  for (const Instance& instance : instances_) {
    cells += instance.cells.size();
    done += instance.at;
  }
  const double by_cells = cells == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(cells);
  const double by_time = budget_ > Duration::zero() ? std::chrono::duration<double>(elapsed) /
                                                          std::chrono::duration<double>(budget_)
                                                    : 1.0;
  progress_ = std::clamp(std::max(by_cells, by_time), progress_, 1.0);
  return progress_;
}

WarmupReport WarmupPlan::report() const noexcept {
  WarmupReport report;
  for (const Instance& instance : instances_) {
    for (const Cell& cell : instance.cells) {
      ++report.cells;
      report.runs += static_cast<std::size_t>(cell.runs);
      if (cell.phase == Phase::kConverged) {
        ++report.converged;
      } else if (cell.runs > 0) {
        ++report.unsteady;
      } else {
        ++report.skipped;
      }
    }
  }
  return report;
}

}  // namespace baozi::model
