// HTTP messages as the server hands them to a handler and takes them back; bytes only, no meaning.
//
// Thread safety: values; a request may be read by several tasks at once.
//
//   class Hello final : public net::HttpHandler {
//     Task<net::HttpResponse> handle(net::HttpRequest request) override {
//       net::HttpResponse response;
//       response.body = fmt::format("{{\"path\":\"{}\"}}", request.path());
//       co_return response;
//     }
//   };
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baozi/base/bytes.h"
#include "baozi/coro/task.h"
#include "baozi/coro/trace.h"

namespace baozi::net {

// Any other method is answered with 501 by the server.
enum class HttpMethod : std::uint8_t { kGet, kHead, kPost, kPut, kDelete, kOptions, kPatch };

std::string_view method_name(HttpMethod method) noexcept;  // "GET"

struct HttpHeader {
  std::string_view name;   // as it was sent
  std::string_view value;  // without the white space around it
};

// The header fields of a request, in order of arrival. Names compare without case.
class HttpHeaders {
 public:
  HttpHeaders() = default;
  explicit HttpHeaders(std::span<const HttpHeader> fields) noexcept : fields_(fields) {}

  // The first field called `name`, or null.
  const HttpHeader* find(std::string_view name) const noexcept;
  // Its value; empty when there is no such field.
  std::string_view get(std::string_view name) const noexcept;
  std::size_t size() const noexcept { return fields_.size(); }
  auto begin() const noexcept { return fields_.begin(); }
  auto end() const noexcept { return fields_.end(); }

 private:
  std::span<const HttpHeader> fields_;
};

struct HttpRequest {
  HttpMethod method = HttpMethod::kGet;
  std::uint8_t version = 11;     // 10 or 11
  bool keep_alive = true;        // what the client asked for
  std::string_view method_text;  // "GET"
  std::string_view target;  // path and query as sent, percent-encoded: "/v2/models/m/infer?x=1"
  HttpHeaders headers;
  std::string_view peer;  // "127.0.0.1:41022"
  // At least kBodyPadding readable bytes lie behind its end (for simdjson). Its start is 64-byte
  // aligned, or the byte at the offset that the header HttpServerOptions::body_offset_header gives.
  Bytes body;
  // The one in the handler's Context; it lives until the handler's task, or the stream that it
  // answers with, has ended.
  RequestTrace* trace = nullptr;
  // Keeps what the views above point into. A copy of the request is good for as long as it likes.
  std::shared_ptr<const void> memory;

  static constexpr std::size_t kBodyPadding = 64;

  std::string_view path() const noexcept { return target.substr(0, target.find('?')); }
  // Behind the '?', without it; may be empty.
  std::string_view query() const noexcept;
};

// A request that owns copies of its parts, for tests and for calls inside the process.
HttpRequest make_request(HttpMethod method, std::string target,
                         std::vector<std::pair<std::string, std::string>> headers = {},
                         std::string_view body = {});

struct HttpResponseHeader {
  std::string_view name;  // static storage
  std::string value;      // one line; the server refuses control characters
};

// A body that comes into being while it is sent: an answer's words, a long report. Each piece is
// sent at once, and the next one is asked for when the client's socket has taken it, so that a slow
// client is not queued for: what came meanwhile is the next piece.
//
//   class Countdown final : public net::BodyStream {
//     Task<std::string> next() override {
//       co_await sleep_for(1s);
//       co_return left_ == 0 ? "" : fmt::format("{}\n", left_--);
//     }
//     int left_ = 10;
//   };
class BodyStream {
 public:
  // At its end, after an error, or when the client has gone; never while next() runs.
  virtual ~BodyStream() = default;
  // The next piece; empty: the end. Runs on the server's I/O executor under the Context of its
  // request, as HttpHandler::handle does. An Error that leaves it cuts the connection off, so that
  // the client does not take the body for whole.
  virtual Task<std::string> next() = 0;
};

// The server adds Content-Length (Transfer-Encoding before a stream), Date and Connection itself.
struct HttpResponse {
  int status = 200;
  bool close = false;                                  // close the connection after this answer
  std::string_view content_type = "application/json";  // static storage; empty: no such field
  std::vector<HttpResponseHeader> headers;
  std::string body;
  std::vector<Bytes> segments;  // sent behind `body` as they are, without a copy (output tensors)
  // Sent behind these; the head goes out before its first piece is there. A HEAD request drops it.
  std::unique_ptr<BodyStream> stream;

  std::size_t content_length() const noexcept;  // of `body` and `segments`
};

// {"error":"<message>"} under `status`.
HttpResponse error_response(int status, std::string_view message);

std::string_view reason_phrase(
    int status) noexcept;  // "Not Found"; "Unknown" for a number without a name

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;

  // Runs on the server's I/O executor; what takes long or blocks must move away with switch_to. Its
  // Context carries a stop token that fires when the client goes away or the server is stopped by
  // force, and the request's trace. An Error that leaves it is answered by
  // error_response(http_status(code), message), any other exception by status 500.
  virtual Task<HttpResponse> handle(HttpRequest request) = 0;
};

}  // namespace baozi::net
