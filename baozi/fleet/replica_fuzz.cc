// Replica addresses: what parses is written and read again as the same, and holds nothing that
// could end a word in a balancer's configuration.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "baozi/base/error.h"
#include "baozi/fleet/replica_address.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baozi;
  try {
    fleet::ReplicaAddress replica =
        fleet::parse_replica({reinterpret_cast<const char*>(data), size});
    const std::string text = fleet::endpoint(replica);
    replica.agent = 0;
    if (fleet::parse_replica(text) != replica) std::abort();
    for (const char c : text)
      if (c <= ' ' || c > '~' || std::string_view(";{}#\"'\\$").find(c) != std::string_view::npos)
        std::abort();
  } catch (const Error&) {
  }
  return 0;
}
