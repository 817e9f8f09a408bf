#include "baozi/net/http_server.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <span>
#include <utility>

#include "baozi/base/log.h"
#include "baozi/coro/asio/asio_executor.h"
#include "baozi/coro/event.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/this_task.h"
#include "baozi/net/connection.h"
#include "baozi/net/listen.h"
#include "baozi/net/phase_lists.h"
#include "baozi/net/request_parser.h"
#include "baozi/net/response_writer.h"
#include "baozi/net/socket.h"

namespace baozi::net {
namespace {

using namespace std::chrono_literals;
using boost::system::error_code;
using Status = RequestParser::Status;
namespace io_error = boost::asio::error;

constexpr Duration kSweepEvery = 25ms;
constexpr Duration kIdleSweepEvery = 250ms;  // while nobody is connected
constexpr Duration kAcceptPause =
    50ms;  // after an accept that failed for lack of descriptors or memory
constexpr std::size_t kTurnedAwayMax =
    256;                          // 503s being delivered at once; beyond: closed without a word
constexpr int kReadsInARow = 16;  // of one body, before other connections have their turn

// What a socket has now, without waiting.
IoResult read_now(Socket& socket, std::span<char> room) {
  const ssize_t count = recv(socket.native_handle(), room.data(), room.size(), MSG_DONTWAIT);
  if (count > 0) return {{}, static_cast<std::size_t>(count)};
  if (count == 0) return {io_error::eof, 0};
  return {error_code(errno, boost::system::system_category()), 0};
}

// What a handler that threw is answered with.
HttpResponse failure(const std::exception& thrown) {
  if (const auto* error = dynamic_cast<const Error*>(&thrown))
    return error_response(http_status(error->code()), error->message());
  log().error("a handler failed: {}", thrown.what());
  return error_response(500, "internal error");
}

// Counts a request as in flight until its end.
class InFlight {
 public:
  explicit InFlight(std::size_t& count) noexcept : count_(&count) { ++count; }
  ~InFlight() { end(); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  void end() noexcept {
    if (count_ != nullptr) --*std::exchange(count_, nullptr);
  }

 private:
  std::size_t* count_;
};

}  // namespace

class HttpServer::Impl {
 public:
  Impl(AsioExecutor& io, HttpServerOptions options, HttpHandler& handler)
      : io_(io),
        options_(std::move(options)),
        limits_{options_.head_bytes_max, options_.headers_max, options_.body_bytes_max,
                options_.body_offset_header, options_.body_allocator},
        handler_(handler),
        acceptor_(listen_on(io, options_.host, options_.port, options_.backlog)),
        port_(acceptor_.local_endpoint().port()),
        accept_timer_(io.context()),
        sweep_timer_(io.context()) {}

  std::uint16_t port() const noexcept { return port_; }
  HttpServerStats stats() const noexcept {
    HttpServerStats stats = stats_;
    stats.disconnects = phases_.disconnects();
    return stats;
  }
  Task<void> run();
  Task<void> drain(Time deadline);

 private:
  // One connection.
  Task<void> serve(std::unique_ptr<Connection> owned);
  Task<void> turn_away(std::unique_ptr<Connection> owned);
  Task<Status> read_request(Connection* connection);
  Task<HttpResponse> begin(Connection& connection);
  bool keeps(const Connection& connection, const HttpResponse& response) const;
  Task<void> refuse(Connection* connection, int status, std::string message);
  Task<void> linger(Connection* connection);
  bool fill(Connection& connection, IoResult got, Status& status);

  // All of them.
  Task<void> accept_loop(Nursery* nursery);
  void admit(Nursery& nursery, Socket socket, const Tcp::endpoint& peer);
  Task<void> sweep_loop();
  void sweep(Time now);
  void begin_drain(Time deadline);
  void leave(Connection& connection);

  AsioExecutor& io_;
  const HttpServerOptions options_;
  const RequestLimits limits_;
  HttpHandler& handler_;
  Acceptor acceptor_;
  const std::uint16_t port_;
  SteadyTimer accept_timer_;
  SteadyTimer sweep_timer_;
  PhaseLists phases_;
  ResponseWriter writer_{phases_};
  std::array<char, 16 << 10> discarded_;  // where linger() reads to
  HttpServerStats stats_;
  std::size_t turned_away_ = 0;
  bool running_ = false;
  bool draining_ = false;
  Time cut_off_at_ = kNever;
  Event done_;
};

// ---- One connection

Task<void> HttpServer::Impl::serve(std::unique_ptr<Connection> owned) {
  Connection& connection = *owned;
  try {
    bool alive = true;
    while (alive) {
      const Status status = co_await read_request(&connection);
      if (status != Status::kReady) {
        const RequestParser::Refusal& refusal = connection.parser.refusal();
        if (status == Status::kRefused) {
          co_await refuse(&connection, refusal.status, refusal.message);
        } else if (connection.expired && connection.phase != Phase::kIdle) {
          co_await refuse(&connection, 408, "the request did not arrive in time");
        }
        break;
      }
      HttpResponse response;
      InFlight in_flight(stats_.in_flight);
      try {
        Task<HttpResponse> task = begin(connection);
        response = co_await std::move(task);
      } catch (const std::exception& error) {
        response = failure(error);
      }
      if (response.stream == nullptr) in_flight.end();
      const bool keep_alive = keeps(connection, response);
      const bool sent = co_await writer_.send(&connection, &response, keep_alive);
      in_flight.end();
      alive = sent && keep_alive;
      if (!alive && !connection.expired) co_await linger(&connection);
    }
  } catch (const std::exception& error) {
    log().error("connection from a client is dropped: {}", error.what());
  }
  leave(connection);
  --stats_.connections;
}

// kNeedMore: there is no request any more.
Task<Status> HttpServer::Impl::read_request(Connection* connection) {
  RequestParser& parser = connection->parser;
  Status status = parser.next();
  if (status == Status::kNeedMore)
    phases_.enter(*connection, parser.idle() ? Phase::kIdle : Phase::kHead, Clock::now());
  while (status == Status::kNeedMore) {
    if (parser.take_expectation()) {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      // A client that cannot take these bytes would not get its answer either.
      if (::send(connection->socket.native_handle(), kContinue.data(), kContinue.size(),
                 MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        co_return status;
      }
    }
    IoResult got;
    if (draining_ && connection->phase == Phase::kIdle) {
      got =
          read_now(connection->socket, parser.prepare());  // what has come already is still served
    } else {
      got = co_await read_some(connection->socket, parser.prepare());
    }
    if (!fill(*connection, got, status)) co_return status;
    if (status == Status::kNeedMore) {
      const Phase now_in = parser.in_body() ? Phase::kBody : Phase::kHead;
      if (now_in == Phase::kBody || connection->phase == Phase::kIdle)
        phases_.enter(*connection, now_in, Clock::now());
    }
  }
  co_return status;
}

// Parses what was read, and what else lies ready of a body. False at the end of the stream.
bool HttpServer::Impl::fill(Connection& connection, IoResult got, Status& status) {
  RequestParser& parser = connection.parser;
  if (got.error == io_error::operation_aborted && connection.phase == Phase::kIdle) {
    got = read_now(connection.socket,
                   parser.prepare());  // a request that crossed our decision to close
  }
  if (got.error) return false;
  connection.expired = false;
  status = parser.commit(got.count);
  for (int i = 0; i < kReadsInARow && status == Status::kNeedMore && parser.in_body(); ++i) {
    if (parser.waits_for_continue()) return true;
    got = read_now(connection.socket, parser.prepare());
    if (got.error) return got.error == io_error::would_block || got.error == io_error::try_again;
    status = parser.commit(got.count);
  }
  return true;
}

// The handler's task, under way in the books. Not a coroutine, so that the request lies in the
// handler's frame only.
Task<HttpResponse> HttpServer::Impl::begin(Connection& connection) {
  HttpRequest request = connection.parser.take();
  connection.request = std::make_unique<RequestState>();
  connection.keep_alive = request.keep_alive;
  connection.head_only = request.method == HttpMethod::kHead;
  connection.version = request.version;
  request.trace = &connection.request->trace;
  phases_.enter(connection, Phase::kFresh, connection.request->trace.start());
  ++stats_.requests;
  return handler_.handle(std::move(request)).with_context(connection.request->context);
}

// Whether the connection is kept after `response`. Of a stream to a client of HTTP/1.0 the end is
// that of the connection.
bool HttpServer::Impl::keeps(const Connection& connection, const HttpResponse& response) const {
  const bool ends_by_closing = response.stream != nullptr && connection.version < 11;
  return connection.keep_alive && !response.close && !draining_ && !ends_by_closing;
}

Task<void> HttpServer::Impl::refuse(Connection* connection, int status, std::string message) {
  ++stats_.refused;
  connection->expired = false;
  connection->keep_alive = false;
  connection->head_only = false;
  HttpResponse response = error_response(status, message);
  co_await writer_.send(connection, &response, false);
  if (!connection->expired) co_await linger(connection);
}

// Closing with unread input would reset the connection, and the client might lose the answer (RFC
// 9112, 9.6).
Task<void> HttpServer::Impl::linger(Connection* connection) {
  error_code error;
  connection->socket.shutdown(Socket::shutdown_send, error);
  phases_.enter(*connection, Phase::kLingering, Clock::now());
  while (!error) {
    const IoResult got = co_await read_some(connection->socket, discarded_);
    error = got.error;
  }
}

// ---- All of them

Task<void> HttpServer::Impl::run() {
  const Context& context = co_await this_context();
  Nursery nursery(context, io_);
  running_ = true;
  nursery.spawn(accept_loop(&nursery));
  nursery.spawn(sweep_loop());
  co_await nursery.join();
  running_ = false;
  done_.set();
}

Task<void> HttpServer::Impl::accept_loop(Nursery* nursery) {
  bool told = false;
  while (acceptor_.is_open()) {
    Socket socket(io_.context());
    Tcp::endpoint peer;
    const IoResult accepted = co_await accept_into(acceptor_, socket, peer);
    if (!accepted.error) {
      told = false;
      try {
        admit(*nursery, std::move(socket), peer);
      } catch (const std::exception& error) {
        log().error("a new connection is dropped: {}", error.what());
      }
    } else if (acceptor_.is_open() && accepted.error != io_error::connection_aborted) {
      if (!std::exchange(told, true)) {
        log().warn(
            "cannot accept connections: {}; they wait (raise the limit of open files: ulimit -n)",
            accepted.error.message());
      }
      co_await wait_for(accept_timer_, kAcceptPause);
    }
  }
}

void HttpServer::Impl::admit(Nursery& nursery, Socket socket, const Tcp::endpoint& peer) {
  error_code ignored;
  socket.set_option(Tcp::no_delay(true), ignored);
  auto connection = std::make_unique<Connection>(std::move(socket), limits_, to_text(peer));
  if (stats_.connections < options_.connections_max) {
    Task<void> task = serve(std::move(connection));
    if (++stats_.connections == 1) sweep_timer_.cancel();
    nursery.spawn(std::move(task));
  } else if (turned_away_ < kTurnedAwayMax) {
    Task<void> task = turn_away(std::move(connection));
    ++turned_away_;
    nursery.spawn(std::move(task));
  }
}

Task<void> HttpServer::Impl::turn_away(std::unique_ptr<Connection> owned) {
  Connection& connection = *owned;
  try {
    co_await refuse(&connection, 503,
                    "the server has as many connections as it takes; try again later");
  } catch (const std::exception& error) {
    log().error("connection from a client is dropped: {}", error.what());
  }
  leave(connection);
  --turned_away_;
}

Task<void> HttpServer::Impl::sweep_loop() {
  const Context& context = co_await this_context();
  while (!draining_ || stats_.connections + turned_away_ != 0) {
    co_await wait_for(sweep_timer_, stats_.connections != 0 ? kSweepEvery : kIdleSweepEvery);
    const Time now = Clock::now();
    if (context.stop.stop_requested()) begin_drain(now);
    sweep(now);
  }
}

void HttpServer::Impl::sweep(Time now) {
  phases_.expire(Phase::kIdle, now - options_.idle_timeout);
  phases_.expire(Phase::kHead, now - options_.head_timeout);
  phases_.expire(Phase::kBody, now - options_.stall_timeout);
  phases_.expire(Phase::kSending, now - options_.stall_timeout);
  phases_.expire(Phase::kLingering, now - options_.linger_timeout);
  phases_.watch_held(now - options_.watch_after);
  if (now >= cut_off_at_) phases_.cut_off();
}

Task<void> HttpServer::Impl::drain(Time deadline) {
  co_await switch_to(io_);
  begin_drain(deadline);
  if (running_) co_await done_.wait();
}

void HttpServer::Impl::begin_drain(Time deadline) {
  cut_off_at_ = std::min(cut_off_at_, deadline);
  if (std::exchange(draining_, true)) return;
  error_code ignored;
  acceptor_.close(ignored);
  accept_timer_.cancel();
  phases_.expire(Phase::kIdle, kNever);
  sweep_timer_.cancel();
}

void HttpServer::Impl::leave(Connection& connection) {
  phases_.leave(connection);
  error_code ignored;
  connection.socket.close(ignored);
}

// ---- The face

HttpServer::HttpServer(AsioExecutor& io, HttpServerOptions options, HttpHandler& handler)
    : impl_(std::make_unique<Impl>(io, std::move(options), handler)) {}
HttpServer::~HttpServer() = default;
std::uint16_t HttpServer::port() const noexcept { return impl_->port(); }
Task<void> HttpServer::run() { return impl_->run(); }
Task<void> HttpServer::drain(Time deadline) { return impl_->drain(deadline); }
HttpServerStats HttpServer::stats() const noexcept { return impl_->stats(); }

}  // namespace baozi::net
