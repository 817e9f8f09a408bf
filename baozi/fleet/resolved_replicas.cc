#include "baozi/fleet/resolved_replicas.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "baozi/base/error.h"

namespace baozi::fleet {
namespace {

// AF_INET, AF_INET6, or AF_UNSPEC for what is no IP address.
int family_of(const std::string& host) {
  in6_addr address;
  for (const int family : {AF_INET, AF_INET6})
    if (::inet_pton(family, host.c_str(), &address) == 1) return family;
  return AF_UNSPEC;
}

}  // namespace

ResolvedReplicas::ResolvedReplicas(std::vector<ReplicaAddress> named)
    : named_(std::move(named)), found_(named_.size()) {
  if (named_.empty())
    throw Error(Code::kInvalidArgument, "no replica is named; add --replica HOST:PORT");
  if (named_.size() > kReplicasMax)
    throw Error(Code::kInvalidArgument,
                fmt::format("{} replicas are named, {} are possible; let several nginx have a part "
                            "of them each",
                            named_.size(), kReplicasMax));
  std::set<std::string> seen;
  for (std::size_t i = 0; i < named_.size(); ++i) {
    const std::string at = endpoint(named_[i]);
    if (!seen.insert(at).second)
      throw Error(Code::kInvalidArgument,
                  fmt::format("replica {} is named twice; remove one --replica", at));
    if (family_of(named_[i].host) != AF_UNSPEC) found_[i] = {named_[i]};
  }
}

std::vector<std::size_t> ResolvedReplicas::names() const {
  std::vector<std::size_t> names;
  for (std::size_t i = 0; i < named_.size(); ++i)
    if (family_of(named_[i].host) == AF_UNSPEC) names.push_back(i);
  return names;
}

void ResolvedReplicas::resolved(std::size_t index, const std::vector<std::string>& addresses) {
  std::set<std::string> of_v4;
  std::set<std::string> of_v6;
  for (const std::string& address : addresses) {
    const int family = family_of(address);
    if (family == AF_INET) of_v4.insert(address);
    if (family == AF_INET6) of_v6.insert(address);
  }
  const std::set<std::string>& taken = of_v4.empty() ? of_v6 : of_v4;
  if (taken.empty()) return;
  found_[index].clear();
  for (const std::string& address : taken)
    found_[index].push_back({address, named_[index].port, named_[index].agent});
}

std::vector<ReplicaAddress> ResolvedReplicas::all() const {
  std::vector<ReplicaAddress> all;
  std::set<std::string> seen;
  for (const std::vector<ReplicaAddress>& of_one : found_)
    for (const ReplicaAddress& replica : of_one)
      if (all.size() < kReplicasMax && seen.insert(endpoint(replica)).second)
        all.push_back(replica);
  return all;
}

}  // namespace baozi::fleet
