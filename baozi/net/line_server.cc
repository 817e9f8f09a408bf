#include "baozi/net/line_server.h"

#include <sys/socket.h>

#include <array>
#include <chrono>

#include "baozi/base/log.h"
#include "baozi/coro/asio/asio_await.h"
#include "baozi/coro/asio/asio_executor.h"
#include "baozi/coro/sleep.h"
#include "baozi/net/listen.h"
#include "baozi/net/socket.h"

namespace baozi::net {
namespace {

constexpr int kBacklog = 1024;
constexpr Duration kAcceptPause =
    std::chrono::milliseconds(50);  // after an accept that failed for lack of descriptors or memory

void say(Socket& socket, const std::string& line) {
  const int handle = socket.native_handle();
  // A new connection's buffer is empty: it takes a line whole, or the peer is gone.
  (void)::send(handle, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(handle, SHUT_WR);
  // What came unasked and is not read would make closing a reset, which may overtake the line.
  std::array<char, 4096> dropped;
  (void)::recv(handle, dropped.data(), dropped.size(), MSG_DONTWAIT);
}

}  // namespace

class LineServer::Impl {
 public:
  Impl(AsioExecutor& io, const LineServerOptions& options, LineSource& source)
      : io_(io),
        source_(source),
        acceptor_(listen_on(io, options.host, options.port, kBacklog)),
        port_(acceptor_.local_endpoint().port()) {}

  std::uint16_t port() const noexcept { return port_; }
  static Task<void> run(Impl* self);

 private:
  AsioExecutor& io_;
  LineSource& source_;
  Acceptor acceptor_;
  const std::uint16_t port_;
};

Task<void> LineServer::Impl::run(Impl* self) {
  for (;;) {
    Socket socket(self->io_.context());
    const boost::system::error_code error =
        co_await self->acceptor_.async_accept(socket, use_task_ec);
    if (error) {
      log().warn("the agent port cannot accept: {}", error.message());
      co_await sleep_for(kAcceptPause);
      continue;
    }
    say(socket, self->source_.line());
  }
}

LineServer::LineServer(AsioExecutor& io, const LineServerOptions& options, LineSource& source)
    : impl_(std::make_unique<Impl>(io, options, source)) {}
LineServer::~LineServer() = default;
std::uint16_t LineServer::port() const noexcept { return impl_->port(); }
Task<void> LineServer::run() { return Impl::run(impl_.get()); }

}  // namespace baozi::net
