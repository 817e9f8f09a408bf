// RequestParser: bytes in, HTTP requests out. It owns the input buffers of one connection and knows
// no socket, clock or coroutine. The grammar is Boost.Beast's; what RFC 9112 leaves to the server's
// care is decided here: one Content-Length or `Transfer-Encoding: chunked`, never both, no folded
// fields, exactly one Host in HTTP/1.1.
//
// Thread safety: none; one connection, one thread.
//
//   RequestParser parser(limits, "127.0.0.1:41022");
//   while (status == kNeedMore) { n = read(parser.prepare()); status = parser.commit(n); }
//   if (status == kReady) { answer(parser.take()); status = parser.next(); }   // keeps early bytes
#pragma once

#include <boost/beast/http/basic_parser.hpp>

#include <boost/container/small_vector.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baozi/coro/frame_pool.h"
#include "baozi/net/http.h"

namespace baozi::net {

struct RequestLimits {
  std::size_t head_bytes_max = 64 << 10;
  std::size_t headers_max = 100;
  std::size_t body_bytes_max = 256 << 20;
  std::string_view body_offset_header = {};  // see HttpServerOptions
  Allocator* body_allocator = nullptr;       // null: the heap
};

class RequestParser {
 public:
  enum class Status : std::uint8_t {
    kNeedMore,  // read into prepare(), then commit
    kReady,     // take() the request
    kRefused,  // answer refusal() and close: what follows on the connection has no meaning any more
  };
  struct Refusal {
    int status = 0;
    std::string message;
  };

  // `limits` outlives the parser.
  RequestParser(const RequestLimits& limits, std::string peer);
  ~RequestParser();

  // Where the next bytes go; never empty while kNeedMore. For counted bodies this is the body's own
  // memory.
  std::span<char> prepare();
  // `count` bytes were written to the front of prepare().
  Status commit(std::size_t count);
  // The request; once, after kReady. Its views live as long as its `memory`.
  HttpRequest take();
  // Begins the next message, with the bytes that came after the last one.
  Status next();

  const Refusal& refusal() const noexcept { return refusal_; }
  // Nothing of the next message has arrived.
  bool idle() const noexcept { return stage_ == Stage::kHead && end_ == 0; }
  bool in_body() const noexcept { return stage_ == Stage::kCounted || stage_ == Stage::kChunked; }
  // Whether the client waits for `100 Continue` before it sends the body; true at most once for a
  // message.
  bool take_expectation() noexcept;
  bool waits_for_continue() const noexcept {
    return expects_continue_ && in_body() && body_size_ == 0;
  }

 private:
  enum class Stage : std::uint8_t { kHead, kCounted, kChunked, kReady, kRefused };

  // Gives the grammar's events to its parser.
  class Grammar final : public boost::beast::http::basic_parser<true> {
   public:
    explicit Grammar(RequestParser& parser) : parser_(parser) {
      header_limit(0xffff'ffff);  // ours is checked in prepare()
      body_limit(boost::none);
    }

   private:
    using Code = boost::beast::error_code;
    using View = boost::beast::string_view;
    void on_request_impl(boost::beast::http::verb, View method, View target, int version,
                         Code&) override;
    void on_response_impl(int, View, int, Code&) override {}
    void on_field_impl(boost::beast::http::field, View name, View value, Code&) override;
    void on_header_impl(Code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
    std::size_t on_body_impl(View, Code&) override { return 0; }
    void on_chunk_header_impl(std::uint64_t size, View extensions, Code&) override;
    std::size_t on_chunk_body_impl(std::uint64_t remain, View body, Code&) override;
    void on_finish_impl(Code&) override {}

    RequestParser& parser_;
  };

  // What the views of a request point into: shared with the requests made from it.
  // One block of the frame pool, which usual requests fit in: it goes back there while they wait.
  struct Memory {
    explicit Memory(std::shared_ptr<const std::string> from) : peer(std::move(from)) {}
    static std::shared_ptr<Memory> make(const std::shared_ptr<const std::string>& peer) {
      return std::allocate_shared<Memory>(frame_pool::Allocator<Memory>(), peer);
    }

    const std::shared_ptr<const std::string> peer;
    std::array<char, 512> first;
    std::unique_ptr<char[]> large;  // when `first` is too small
    char* data = first.data();
    boost::container::small_vector<HttpHeader, 6> fields;
  };

  Status parse_head();
  Status head_done();
  Status start_counted(std::uint64_t length);
  Status start_chunked();
  Status parse_chunks();
  Status finish_body();
  Status refuse(int status, std::string message);
  Status refuse(const boost::beast::error_code& error);
  bool check_field(boost::beast::http::field field, std::string_view value);
  void set_capacity(std::size_t capacity);
  void compact();
  void allocate_body(std::size_t capacity);
  std::size_t body_lead() const;

  const RequestLimits& limits_;
  std::optional<Grammar> grammar_;
  const std::shared_ptr<const std::string> peer_;
  std::shared_ptr<Memory> memory_;  // null until prepare() of the message
  // memory_->data[0, end_) was received, [begin_, end_) is not parsed yet; a message begins at 0.
  std::uint32_t capacity_ = 0;
  std::uint32_t begin_ = 0;
  std::uint32_t end_ = 0;

  Stage stage_ = Stage::kHead;
  std::uint8_t version_ = 11;
  HttpMethod method_ = HttpMethod::kGet;
  std::uint8_t hosts_ = 0;
  std::uint8_t lengths_ = 0;
  bool expects_continue_ = false;
  std::string_view method_text_;
  std::string_view target_;

  Bytes block_;                 // the body's memory, padding included
  std::size_t body_start_ = 0;  // in block_
  std::size_t body_size_ = 0;   // received so far
  std::size_t body_goal_ = 0;   // counted bodies: the whole; chunked ones: room in block_
  std::unique_ptr<std::vector<char>> chunk_input_;  // chunked bodies only; filled to chunk_end_
  std::size_t chunk_end_ = 0;
  Refusal refusal_;
};

}  // namespace baozi::net
