// A replica as the command line names it: HOST:PORT[,agent=PORT]. What parses holds no character
// that means something in haproxy.cfg or in nginx's configuration, so it may be written there.
//
//   ReplicaAddress a = parse_replica("10.0.0.7:8000,agent=8100");
//
// Thread safety: a value and free functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace baozi::fleet {

struct ReplicaAddress {
  std::string host;  // a DNS name, an IPv4 address, or an IPv6 address without its brackets
  std::uint16_t port = 0;
  std::uint16_t agent = 0;  // of HAProxy's agent-check; 0: none
  bool operator==(const ReplicaAddress&) const = default;
};

// Throws Error(kInvalidArgument), which quotes the text and says what is expected.
ReplicaAddress parse_replica(std::string_view text);

// "HOST:PORT" as both balancers read it: "[::1]:8000" for IPv6.
std::string endpoint(const ReplicaAddress& replica);

}  // namespace baozi::fleet
