// Steering: what a balancer is told of a replica, from its warmth; and how HAProxy is told.
//
// A cold replica gets little of the traffic, so that its first requests are felt by few and still
// warm it; a hot one gets its whole share.
//
// Thread safety: values and free functions, pure.
#pragma once

#include <cstdint>
#include <string>

#include "baozi/fleet/warmth.h"

namespace baozi::fleet {

struct Steering {
  enum class Move : std::uint8_t {
    kUp,
    kDrain,  // no new clients; what is there ends
    kDown
  };
  Move move = Move::kUp;
  int percent = 100;      // of the configured weight, in [1, 100] while up
  bool lukewarm = false;  // up, but not all is proved: few requests at once
};
Steering steer(const Warmth& warmth);

// Of a replica that is up and lukewarm; below: colder.
inline constexpr int kLukewarmPercentMin = 5;
inline constexpr int kLukewarmPercentMax = 25;
// Requests that HAProxy gives a lukewarm replica at once.
inline constexpr int kLukewarmConnections = 2;

// The line of HAProxy's agent-check (its configuration manual, "agent-check"), with its end of
// line. What the agent set only the agent undoes, so a replica that is up always says "up ready".
// `connections_max` is the server's `maxconn` in HAProxy's configuration; 0: not known, and then
// the agent does not touch it, as it could not say it back.
std::string haproxy_agent_line(const Steering& steering, int connections_max);

}  // namespace baozi::fleet
