// HttpClient: a small HTTP/1.1 client for tests, health checks and calls between servers. One
// connection, kept alive; one request at a time.
//
// A request obeys the stop token and deadline of its task: with_timeout(client.get("/health"), 1s)
// is how to bound it. What fails throws Error kUnavailable (no connection, broken answer); an
// answer of any status is a reply, not an error.
//
// Thread safety: request may be called from a task on any executor; one at a time.
//
//   HttpClient client(io, "127.0.0.1", 8000);
//   const HttpReply reply = co_await client.get("/v2/health/ready");
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baozi/coro/task.h"
#include "baozi/net/http.h"

namespace baozi {
class AsioExecutor;
}

namespace baozi::net {

struct HttpReply {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  // The first field called `name`, without regard to case; empty when there is none.
  std::string_view header(std::string_view name) const noexcept;
};

class HttpClient {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  static constexpr std::size_t kBodyBytesMax = 256 << 20;

  // Connects with the first request. `io` outlives the client. An answer's body longer than
  // `body_bytes_max` is an error.
  HttpClient(AsioExecutor& io, std::string host, std::uint16_t port,
             std::size_t body_bytes_max = kBodyBytesMax);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  Task<HttpReply> get(std::string target);
  // Content-Length and Host are added. When a kept connection turns out to be closed before
  // anything was answered, GET and HEAD are said once more on a new one.
  Task<HttpReply> request(HttpMethod method, std::string target, Headers headers = {},
                          std::string body = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baozi::net
