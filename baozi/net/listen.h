// Listening sockets, and addresses as people read them.
//
// Thread safety: free functions.
#pragma once

#include <cstdint>
#include <string>

#include "baozi/net/socket.h"

namespace baozi {
class AsioExecutor;
}

namespace baozi::net {

// "127.0.0.1:8000", "[::1]:8000".
std::string to_text(const Tcp::endpoint& endpoint);

// Bound and listening on `host`, an address or a name that resolves to one; port 0: the system
// picks one. Errors: kUnavailable when the address is taken, kInvalidArgument when it is none.
Acceptor listen_on(AsioExecutor& io, const std::string& host, std::uint16_t port, int backlog);

}  // namespace baozi::net
