// PhaseLists: what each connection of a server does now, and since when; so that a sweep finds at
// the front of a list who is too slow, who has gone, and at the end whom to cut off.
//
// Thread safety: the server's I/O thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "baozi/base/clock.h"
#include "baozi/net/connection.h"

namespace baozi::net {

class PhaseLists {
 public:
  // From `now` on, which is no earlier than in the call before.
  void enter(Connection& connection, Phase phase, Time now);
  void leave(Connection& connection);

  // Cancels what the connections wait for that have been in `phase` since `before`, or longer.
  void expire(Phase phase, Time before);
  // Requests that began at `before` or earlier are watched from now on; those whose client has gone
  // are stopped.
  void watch_held(Time before);
  // Stops every request, and cancels every other wait.
  void cut_off();

  // The client of a running request is gone: stops the request.
  void client_gone(Connection& connection);
  // How many requests were stopped because their client went away.
  std::uint64_t disconnects() const noexcept { return disconnects_; }

 private:
  ConnectionList& list(Phase phase) { return lists_[static_cast<std::size_t>(phase)]; }

  std::array<ConnectionList, static_cast<std::size_t>(Phase::kCount)> lists_;
  DisconnectWatch watch_;
  std::vector<Connection*> gone_;  // watch_held's scratch
  std::uint64_t disconnects_ = 0;
};

}  // namespace baozi::net
