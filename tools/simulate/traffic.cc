#include "tools/simulate/traffic.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

#include "baozi/base/error.h"

namespace baozi::simulate {
namespace {

constexpr std::string_view kHeader = "seconds,requests_per_second";

std::string_view without_spaces(std::string_view text) {
  while (!text.empty() && (text.back() == '\r' || text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

class Lines {
 public:
  explicit Lines(std::string_view name) : name_(name) {}

  [[noreturn]] void fail(std::string_view what) const {
    throw Error(Code::kInvalidArgument, fmt::format("{}:{}: {}", name_, number, what));
  }

  double value(std::string_view text, std::string_view column, double most) const {
    text = without_spaces(text);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || !(value >= 0 && value <= most))
      fail(fmt::format("{} is not a number from 0 to {:.0f}", column, most));
    return value;
  }

  Traffic::Point point(std::string_view line) const {
    const std::size_t comma = line.find(',');
    if (comma == line.npos) fail(fmt::format("no comma; a line is `{}`", kHeader));
    constexpr double kClockMax = 1e11;  // seconds since 1970 in milliseconds would be above
    return {value(line.substr(0, comma), "seconds", kClockMax),
            value(line.substr(comma + 1), "requests_per_second", kTrafficPerSecondMax)};
  }

  int number = 0;

 private:
  std::string_view name_;
};

}  // namespace

Traffic::Traffic(std::vector<Point> points) : points_(std::move(points)) {
  assert(points_.size() >= 2 && points_.front().seconds == 0);
}

double Traffic::at(double seconds) const {
  const auto after =
      std::upper_bound(points_.begin(), points_.end(), seconds,
                       [](double when, const Point& point) { return when < point.seconds; });
  if (after == points_.begin()) return points_.front().per_second;
  if (after == points_.end()) return points_.back().per_second;
  const Point& before = after[-1];
  const double share = (seconds - before.seconds) / (after->seconds - before.seconds);
  return before.per_second + share * (after->per_second - before.per_second);
}

double Traffic::most() const {
  double most = 0;
  for (const Point& point : points_) most = std::max(most, point.per_second);
  return most;
}

Traffic step_traffic(double base) {
  return Traffic({{0, base},
                  {300, base},
                  {300.1, 10 * base},
                  {2100, 10 * base},
                  {2100.1, base},
                  {3600, base}});
}

Traffic wave_traffic(double base) {
  std::vector<Traffic::Point> points;
  for (int minute = 0; minute <= 24 * 60; minute += 5) {
    const double turn = minute / (24.0 * 60.0) * 2 * std::numbers::pi;
    points.push_back({minute * 60.0, base * (5.5 - 4.5 * std::cos(turn))});
  }
  return Traffic(std::move(points));
}

Traffic crowd_traffic(double base) {
  std::vector<Traffic::Point> points{{0, base}, {300, base}};
  for (int after = 0; after <= 3000; after += 10)
    points.push_back({320.0 + after, base * (1 + 5 * std::exp2(-after / 240.0))});
  return Traffic(std::move(points));
}

Traffic parse_traffic(std::string_view text, std::string_view name) {
  Lines lines(name);
  std::vector<Traffic::Point> points;
  double first = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = without_spaces(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (++lines.number > kTrafficLinesMax)
      lines.fail(fmt::format("more than {} lines: make the points sparser", kTrafficLinesMax));
    if (lines.number == 1) {
      if (line != kHeader) lines.fail(fmt::format("the first line must be `{}`", kHeader));
      continue;
    }
    if (line.empty()) continue;
    Traffic::Point point = lines.point(line);
    if (points.empty()) first = point.seconds;
    point.seconds -= first;
    if (!points.empty() && point.seconds <= points.back().seconds)
      lines.fail("seconds must rise from line to line");
    if (point.seconds > kTrafficSecondsMax) lines.fail("more than seven days: cut the recording");
    points.push_back(point);
  }
  if (points.size() < 2) {
    lines.number = std::max(lines.number, 1);
    lines.fail(fmt::format("fewer than two points; lines are `{}`", kHeader));
  }
  return Traffic(std::move(points));
}

}  // namespace baozi::simulate
