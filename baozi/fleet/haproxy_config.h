// A whole haproxy.cfg for a fleet of replicas, as text: `baozi steer haproxy`. Requests go to the
// replica with the fewest, weighted by what its agent says; one that is not ready gets none; what a
// replica that died or hangs did not answer is sent to another.
//
//   std::string cfg = haproxy_config({.replicas = {parse_replica("10.0.0.7:8000,agent=8100")}});
//
// Thread safety: a free function without state.
#pragma once

#include <string>
#include <vector>

#include "baozi/fleet/replica_address.h"

namespace baozi::fleet {

struct HaproxyOptions {
  std::vector<ReplicaAddress> replicas;  // at least one, none twice
  ReplicaAddress listen{"0.0.0.0", 8000};
  ReplicaAddress stats{"127.0.0.1", 8404};
  int answer_timeout_seconds = 30;  // a replica that is silent for so long is taken to hang
};

// Throws Error(kInvalidArgument): no replica, or one twice.
std::string haproxy_config(const HaproxyOptions& options);

}  // namespace baozi::fleet
