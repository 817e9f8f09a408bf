#include "baozi/fleet/steering.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace baozi::fleet {

Steering steer(const Warmth& warmth) {
  switch (warmth.state) {
    case ReplicaState::kDraining:
      return {.move = Steering::Move::kDrain, .percent = 0};
    case ReplicaState::kFailed:
      return {.move = Steering::Move::kDown, .percent = 0};
    case ReplicaState::kReady:
    case ReplicaState::kDegraded:
      return {};
    case ReplicaState::kStarting:
      break;
  }
  const double share = std::isfinite(warmth.warmth) ? std::clamp(warmth.warmth, 0.0, 1.0) : 0.0;
  const double percent = kLukewarmPercentMin + share * (kLukewarmPercentMax - kLukewarmPercentMin);
  return {.percent = static_cast<int>(percent), .lukewarm = true};
}

std::string haproxy_agent_line(const Steering& steering, int connections_max) {
  switch (steering.move) {
    case Steering::Move::kDrain:
      return "drain\n";
    case Steering::Move::kDown:
      // With the space: HAProxy takes "down#load-failed" for a word that it does not know.
      return "down #load-failed\n";
    case Steering::Move::kUp:
      break;
  }
  std::string line = fmt::format("up ready {}%", steering.percent);
  if (connections_max > 0) {
    line += fmt::format(" maxconn:{}", steering.lukewarm
                                           ? std::min(kLukewarmConnections, connections_max)
                                           : connections_max);
  }
  return line + "\n";
}

}  // namespace baozi::fleet
