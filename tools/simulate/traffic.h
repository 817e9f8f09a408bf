// Traffic: how many requests a second come to a fleet, over time; recorded or synthetic.
//
//   const Traffic recorded = parse_traffic(text, "monday.csv");
//   recorded.at(30);  // requests a second, half a minute after the first line
//
// Thread safety: values, constant after construction.
#pragma once

#include <string_view>
#include <vector>

namespace baozi::simulate {

class Traffic {
 public:
  struct Point {
    double seconds = 0;
    double per_second = 0;
  };

  // Straight lines between `points`: at least two, `seconds` rising from 0.
  explicit Traffic(std::vector<Point> points);

  double at(double seconds) const;  // before and after: as at the first and the last point
  double seconds() const { return points_.back().seconds; }
  double most() const;  // of its points
  const std::vector<Point>& points() const { return points_; }

 private:
  std::vector<Point> points_;
};

// `base` for five minutes, ten times as much for half an hour, `base` again.
Traffic step_traffic(double base);
// A day: `base` at night, ten times as much at noon, along a cosine.
Traffic wave_traffic(double base);
// `base`; after five minutes six times as much within 20 seconds, ebbing away by half in 4 minutes.
Traffic crowd_traffic(double base);

inline constexpr double kTrafficSecondsMax = 7 * 86'400.0;
inline constexpr double kTrafficPerSecondMax = 1e8;
inline constexpr int kTrafficLinesMax = 1'000'000;

// CSV: the line "seconds,requests_per_second", then a line a point, seconds rising; they count from
// the first. Throws Error kInvalidArgument that begins with `name:LINE:` and says what is wrong.
Traffic parse_traffic(std::string_view text, std::string_view name);

}  // namespace baozi::simulate
