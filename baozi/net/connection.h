// Connection: one client's socket, parser and place in the server's lists; and the watch for
// clients that go away.
//
// Thread safety: the server's I/O thread.
#pragma once

#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "baozi/base/clock.h"
#include "baozi/coro/context.h"
#include "baozi/coro/frame_pool.h"
#include "baozi/coro/stop.h"
#include "baozi/coro/trace.h"
#include "baozi/net/request_parser.h"
#include "baozi/net/socket.h"

namespace baozi::net {

// What a request has besides its bytes, while a handler or a streamed body runs.
struct RequestState {
  static void* operator new(std::size_t size) { return frame_pool::allocate(size); }
  static void operator delete(void* memory, std::size_t size) noexcept {
    frame_pool::deallocate(memory, size);
  }

  RequestTrace trace;
  StopSource stop;
  const Context context{stop.token(), kNever, &trace};
};

// What a connection does now. Each phase has a list, ordered by `since`, which the sweep looks at
// from the front.
enum class Phase : std::uint8_t {
  kIdle,       // no byte of a request yet
  kHead,       // a request's head is arriving
  kBody,       // its body is; `since` is the last progress
  kFresh,      // a handler runs, or a streamed body's next piece is awaited
  kHeld,       // the same for longer than watch_after; the disconnect watch is on
  kSending,    // the socket takes no more; `since` is the last progress
  kLingering,  // the answer is out; what still comes is thrown away, so that the client gets to
               // read it
  kCount,
};

struct Connection : boost::intrusive::list_base_hook<> {
  Connection(Socket accepted, const RequestLimits& limits, std::string peer)
      : socket(std::move(accepted)), parser(limits, std::move(peer)) {}

  Socket socket;
  RequestParser parser;
  std::unique_ptr<RequestState> request;  // while a handler or a streamed body runs
  Time since{};
  Phase phase = Phase::kIdle;
  bool expired = false;  // the sweep cancelled what it waits for
  bool watched = false;  // in the disconnect watch
  bool gone = false;     // the client closed its side
  // Of the request being answered:
  bool keep_alive = true;
  bool head_only = false;
  std::uint8_t version = 11;
};

using ConnectionList =
    boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>>;

// Epoll for disconnects only: edge-triggered and asked once a sweep, so that a watched request
// costs one system call in its connection's life.
class DisconnectWatch {
 public:
  DisconnectWatch();
  ~DisconnectWatch();
  DisconnectWatch(const DisconnectWatch&) = delete;
  DisconnectWatch& operator=(const DisconnectWatch&) = delete;

  // Closing the socket ends the watch.
  void add(Connection& connection) noexcept;
  // Marks `gone` and appends those whose client has closed its side since the last call.
  void poll(std::vector<Connection*>& out);

 private:
  int epoll_ = -1;
};

}  // namespace baozi::net
