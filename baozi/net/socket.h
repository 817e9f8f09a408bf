// Awaitable operations on Asio sockets and timers, without a stop token: their owner ends them by
// closing or cancelling the socket. They complete on the loop's thread, inside Asio's handler, so a
// wake-up costs no trip through a queue.
//
// Thread safety: the thread of the socket's AsioExecutor, on which the awaiting task runs.
//
//   const IoResult got = co_await read_some(socket, buffer);
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <span>
#include <utility>

#include "baozi/coro/asio/asio_executor.h"
#include "baozi/coro/task.h"

namespace baozi::net {

using Tcp = boost::asio::ip::tcp;
using IoRunner = boost::asio::io_context::executor_type;  // not type-erased: a quarter of the cost
                                                          // of a completion
using Socket = boost::asio::basic_stream_socket<Tcp, IoRunner>;
using Acceptor = boost::asio::basic_socket_acceptor<Tcp, IoRunner>;
using SteadyTimer =
    boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, IoRunner>;

struct IoResult {
  boost::system::error_code error;
  std::size_t count = 0;  // bytes, where that means something
};

// Starts `Start(handler)` when awaited; the handler takes an error code and perhaps a count.
template <class Start>
class IoAwaiter {
 public:
  explicit IoAwaiter(Start start) : start_(std::move(start)) {}
  void attach(baozi::detail::PromiseBase& promise) noexcept { promise_ = &promise; }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) { start_(Handler{this}); }
  IoResult await_resume() const noexcept { return result_; }

 private:
  struct Handler {
    IoAwaiter* awaiter;
    void operator()(boost::system::error_code error, std::size_t count = 0) const {
      awaiter->result_ = {error, count};
      baozi::detail::PromiseBase& promise = *awaiter->promise_;
      promise.run(&promise);
    }
  };

  Start start_;
  IoResult result_;
  baozi::detail::PromiseBase* promise_ = nullptr;
};

// At least one byte into `room`, or an error (boost::asio::error::eof at the end of the stream).
inline auto read_some(Socket& socket, std::span<char> room) {
  auto start = [&socket, room](auto handler) {
    socket.async_read_some(boost::asio::buffer(room.data(), room.size()), std::move(handler));
  };
  return IoAwaiter(start);
}

inline auto wait_writable(Socket& socket) {
  auto start = [&socket](auto handler) {
    socket.async_wait(Socket::wait_write, std::move(handler));
  };
  return IoAwaiter(start);
}

inline auto accept_into(Acceptor& acceptor, Socket& socket, Tcp::endpoint& peer) {
  auto start = [&acceptor, &socket, &peer](auto handler) {
    acceptor.async_accept(socket, peer, std::move(handler));
  };
  return IoAwaiter(start);
}

inline auto connect_to(Socket& socket, Tcp::endpoint endpoint) {
  auto start = [&socket, endpoint](auto handler) {
    socket.async_connect(endpoint, std::move(handler));
  };
  return IoAwaiter(start);
}

// Until the timer is due, or was cancelled.
inline auto wait_for(SteadyTimer& timer, Duration delay) {
  auto start = [&timer, delay](auto handler) {
    timer.expires_after(delay);
    timer.async_wait(std::move(handler));
  };
  return IoAwaiter(start);
}

}  // namespace baozi::net
