// Who the replicas are, from what the command line names: addresses stand for themselves, a DNS
// name for all it was last resolved to. Pure: resolving is its caller's.
//
//   ResolvedReplicas replicas({parse_replica("baozi.svc:8000")});
//   for (std::size_t i : replicas.names()) replicas.resolved(i, {"10.0.0.7", "10.0.0.8"});
//   replicas.all();  // 10.0.0.7:8000, 10.0.0.8:8000
//
// Thread safety: none; one thread at a time.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "baozi/fleet/replica_address.h"

namespace baozi::fleet {

class ResolvedReplicas {
 public:
  static constexpr std::size_t kReplicasMax = 500;  // that are looked at; each keeps a connection

  // Throws Error(kInvalidArgument): none, too many, or one twice.
  explicit ResolvedReplicas(std::vector<ReplicaAddress> named);

  const std::vector<ReplicaAddress>& named() const noexcept { return named_; }
  std::vector<std::size_t> names() const;  // which of named() are DNS names

  // The IP addresses that named()[index] stands for now. None: it stands for whom it stood for. Of
  // a name with both, only IPv4's are taken: a replica with two addresses is one. What is no IP
  // address is left out.
  void resolved(std::size_t index, const std::vector<std::string>& addresses);

  // In the order they were named, those of a name sorted, nobody twice; kReplicasMax at most.
  std::vector<ReplicaAddress> all() const;

 private:
  std::vector<ReplicaAddress> named_;
  std::vector<std::vector<ReplicaAddress>> found_;  // for each of named_
};

}  // namespace baozi::fleet
