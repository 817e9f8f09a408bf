// HttpServer: HTTP/1.1 (and 1.0) over TCP on one Asio loop. Keep-alive, pipelining-safe, chunked
// and counted bodies, streamed answers, limits on everything a client sends, time-outs for slow
// clients, graceful drain.
//
// Thread safety: run() and drain() from any task; stats() on the I/O thread; port() from anywhere.
//
//   net::HttpServer server(io, {.port = 8000}, handler);   // bound and listening from here on
//   nursery.spawn(server.run());                           // ends after drain()
//   co_await server.drain(Clock::now() + 30s);
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "baozi/base/bytes.h"
#include "baozi/base/clock.h"
#include "baozi/coro/task.h"
#include "baozi/net/http.h"

namespace baozi {
class AsioExecutor;
}

namespace baozi::net {

struct HttpServerOptions {
  std::string host = "127.0.0.1";  // an address, or a name that resolves to one
  std::uint16_t port = 0;          // 0: the system picks one
  int backlog = 4096;

  std::size_t connections_max = 20'000;   // one more is answered with 503 and closed
  std::size_t head_bytes_max = 64 << 10;  // request line and header fields: 431 and closed
  std::size_t headers_max = 100;
  std::size_t body_bytes_max = 256 << 20;  // 413 and closed

  Duration head_timeout =
      std::chrono::seconds(10);  // from the first byte of a request to the end of its head: 408
  Duration stall_timeout =
      std::chrono::seconds(30);  // no byte of a body, or of an answer, moved: 408, or closed
  Duration idle_timeout = std::chrono::seconds(60);  // between requests: closed
  Duration linger_timeout =
      std::chrono::seconds(2);  // how long a closing connection's input is still read and dropped
  Duration watch_after =
      std::chrono::milliseconds(20);  // requests in flight for longer are watched for a disconnect

  // A request header whose decimal value is an offset in the body to align at 64 bytes instead of
  // the body's start: what follows KServe's JSON part is then an aligned tensor in place. Empty:
  // none. Static storage.
  std::string_view body_offset_header = {};
  Allocator* body_allocator = nullptr;  // null: the heap
};

struct HttpServerStats {
  std::size_t connections = 0;  // open now
  std::size_t in_flight = 0;    // requests in a handler now, or answered by a stream
  std::uint64_t requests = 0;   // handed to the handler so far
  std::uint64_t refused =
      0;  // answered by the server itself: malformed, too large, too slow, too many
  std::uint64_t disconnects = 0;  // requests cancelled because their client went away
};

class HttpServer {
 public:
  // Binds and listens; throws Error kUnavailable when the address is taken, kInvalidArgument when
  // it is none. `io` and `handler` outlive the server.
  HttpServer(AsioExecutor& io, HttpServerOptions options, HttpHandler& handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const noexcept;

  // Accepts and serves until drained or stopped (its Context's stop token is a drain without
  // delay).
  Task<void> run();

  // Stops accepting, closes idle connections, lets the requests in flight finish (their answers say
  // `Connection: close`) and ends run(). What is left at `deadline` is cancelled and cut off.
  // Returns when every connection is closed; only while run() runs, or before it starts. May be
  // called again with an earlier deadline.
  Task<void> drain(Time deadline);

  HttpServerStats stats() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baozi::net
