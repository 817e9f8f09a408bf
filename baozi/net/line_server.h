// LineServer: says one line to whoever connects, and hangs up; it never waits for a peer. For
// HAProxy's agent-check. A peer costs one accept and one send: it may send garbage, stay silent or
// come by the thousand.
//
//   net::LineServer server(io, {.port = 8100}, source);   // bound and listening from here on
//   nursery.spawn(server.run());                           // until it is stopped
//
// Thread safety: run() on the executor `io`, once; port() from anywhere.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "baozi/coro/task.h"

namespace baozi {
class AsioExecutor;
}

namespace baozi::net {

struct LineServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  // 0: the system picks one
};

class LineSource {
 public:
  virtual ~LineSource() = default;
  // With its end of line; short, so that it fits a socket's buffer. Called on the I/O thread.
  virtual std::string line() = 0;
};

class LineServer {
 public:
  // Errors: as listen_on's. `io` and `source` outlive the server.
  LineServer(AsioExecutor& io, const LineServerOptions& options, LineSource& source);
  ~LineServer();
  LineServer(const LineServer&) = delete;
  LineServer& operator=(const LineServer&) = delete;

  std::uint16_t port() const noexcept;
  Task<void> run();  // ends with kCancelled when it is stopped

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baozi::net
