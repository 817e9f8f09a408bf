#include "baozi/net/listen.h"

#include <fmt/format.h>

#include <boost/asio/ip/address.hpp>

#include "baozi/base/error.h"
#include "baozi/coro/asio/asio_executor.h"

namespace baozi::net {
namespace {

using boost::system::error_code;

Tcp::endpoint resolve(AsioExecutor& io, const std::string& host, std::uint16_t port) {
  error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  if (!error) return {address, port};
  Tcp::resolver resolver(io.context());
  const auto found = resolver.resolve(host, std::to_string(port), Tcp::resolver::passive, error);
  if (error || found.empty()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("'{}' is not an address to listen on ({}); try 127.0.0.1 or 0.0.0.0",
                            host, error.message()));
  }
  return found.begin()->endpoint();
}

}  // namespace

std::string to_text(const Tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", address, endpoint.port())
                                    : fmt::format("{}:{}", address, endpoint.port());
}

Acceptor listen_on(AsioExecutor& io, const std::string& host, std::uint16_t port, int backlog) {
  const Tcp::endpoint endpoint = resolve(io, host, port);
  Acceptor acceptor(io.context());
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(Acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(backlog, error);
  if (!error) return acceptor;
  throw Error(Code::kUnavailable,
              fmt::format("cannot listen on {}: {}; choose another port, or 0 for a free one",
                          to_text(endpoint), error.message()));
}

}  // namespace baozi::net
