#include "baozi/net/http_client.h"

#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>

#include "baozi/base/error.h"
#include "baozi/coro/asio/asio_await.h"
#include "baozi/coro/asio/asio_executor.h"
#include "baozi/coro/this_task.h"

namespace baozi::net {
namespace {

namespace http = boost::beast::http;
using boost::asio::ip::tcp;
using boost::system::error_code;
using Message = http::request<http::string_body>;
using Parser = http::response_parser<http::string_body>;

Message message_of(HttpMethod method, const std::string& target, const HttpClient::Headers& headers,
                   std::string body, const std::string& host) {
  Message message;
  message.version(11);
  message.method_string(std::string(method_name(method)));
  message.target(target);
  message.set(http::field::host, host);
  for (const auto& [name, value] : headers) message.set(name, value);
  message.body() = std::move(body);
  message.prepare_payload();
  return message;
}

}  // namespace

std::string_view HttpReply::header(std::string_view name) const noexcept {
  for (const auto& [field, value] : headers) {
    if (boost::beast::iequals(boost::beast::string_view(field),
                              boost::beast::string_view(name.data(), name.size()))) {
      return value;
    }
  }
  return {};
}

class HttpClient::Impl {
 public:
  Impl(AsioExecutor& io, std::string host, std::uint16_t port, std::size_t body_bytes_max)
      : io_(io),
        host_(std::move(host)),
        port_(port),
        body_bytes_max_(body_bytes_max),
        socket_(io.context()) {}

  Task<HttpReply> request(HttpMethod method, std::string target, Headers headers,
                          std::string body) {
    co_await switch_to(io_);
    const Message message = message_of(method, target, headers, std::move(body), authority());
    std::optional<HttpReply> reply;
    if (socket_.is_open()) {
      const bool again = method == HttpMethod::kGet || method == HttpMethod::kHead;
      reply = co_await exchange(&message, again);
    }
    if (!reply) {
      co_await connect();
      reply = co_await exchange(&message, false);
    }
    co_return std::move(*reply);
  }

 private:
  // An IPv6 address stands in brackets (RFC 3986).
  std::string authority() const {
    const bool ipv6 = host_.find(':') != std::string::npos;
    return fmt::format(fmt::runtime(ipv6 ? "[{}]:{}" : "{}:{}"), host_, port_);
  }

  Task<void> connect() {
    close();
    error_code error;
    // What "localhost" is, needs no name server (RFC 6761, section 6.3); a minimal system has no
    // file of hosts that would say it.
    const bool here = host_ == "localhost";
    const auto address = boost::asio::ip::make_address(here ? "127.0.0.1" : host_, error);
    if (!error) {
      const tcp::endpoint endpoint(address, port_);
      error = co_await socket_.async_connect(endpoint, use_task_ec);
    } else {
      tcp::resolver resolver(io_.context());
      auto [unknown, found] =
          co_await resolver.async_resolve(host_, std::to_string(port_), use_task_ec);
      error = unknown;
      for (const auto& entry : found) {
        close();
        error = co_await socket_.async_connect(entry.endpoint(), use_task_ec);
        if (!error) break;
      }
    }
    if (error) {
      close();
      throw Error(Code::kUnavailable,
                  fmt::format("cannot connect to {}:{}: {}", host_, port_, error.message()));
    }
    socket_.set_option(tcp::no_delay(true), error);
  }

  // Nothing when the connection was closed before the answer began and `may_fail` allows for it.
  Task<std::optional<HttpReply>> exchange(const Message* message, bool may_fail) {
    // A stop leaves the connection in the middle of something; only a whole exchange keeps it.
    tcp::socket socket = std::move(socket_);
    const auto [write_error, written] = co_await http::async_write(socket, *message, use_task_ec);
    error_code error = write_error;
    Parser parser;
    parser.body_limit(body_bytes_max_);
    parser.skip(message->method() == http::verb::head);
    if (!error) {
      const auto [read_error, count] =
          co_await http::async_read(socket, buffer_, parser, use_task_ec);
      error = read_error;
    }
    if (error) {
      buffer_.clear();
      if (may_fail && !parser.got_some()) co_return std::nullopt;
      throw Error(Code::kUnavailable,
                  fmt::format("no answer from {}:{}: {}", host_, port_, error.message()));
    }
    auto answer = parser.release();
    HttpReply reply;
    reply.status = static_cast<int>(answer.result_int());
    for (const auto& field : answer) {
      reply.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    }
    reply.body = std::move(answer.body());
    if (answer.keep_alive()) socket_ = std::move(socket);
    co_return reply;
  }

  void close() {
    error_code ignored;
    socket_.close(ignored);
    buffer_.clear();
  }

  AsioExecutor& io_;
  const std::string host_;
  const std::uint16_t port_;
  const std::size_t body_bytes_max_;
  tcp::socket socket_;
  boost::beast::flat_buffer buffer_;
};

HttpClient::HttpClient(AsioExecutor& io, std::string host, std::uint16_t port,
                       std::size_t body_bytes_max)
    : impl_(std::make_unique<Impl>(io, std::move(host), port, body_bytes_max)) {}
HttpClient::~HttpClient() = default;
Task<HttpReply> HttpClient::get(std::string target) {
  return impl_->request(HttpMethod::kGet, std::move(target), {}, {});
}
Task<HttpReply> HttpClient::request(HttpMethod method, std::string target, Headers headers,
                                    std::string body) {
  return impl_->request(method, std::move(target), std::move(headers), std::move(body));
}

}  // namespace baozi::net
