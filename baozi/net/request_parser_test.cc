#include "baozi/net/request_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace baozi::net {
namespace {

using Status = RequestParser::Status;
using ::testing::HasSubstr;

// Feeds `text` in pieces of at most `step` bytes until a request is ready, refused, or the text
// ends; drops what was fed.
Status feed(RequestParser& parser, std::string_view& text, std::size_t step) {
  Status status = Status::kNeedMore;
  while (status == Status::kNeedMore && !text.empty()) {
    const std::span<char> room = parser.prepare();
    EXPECT_FALSE(room.empty());
    const std::size_t count = std::min({room.size(), step, text.size()});
    std::memcpy(room.data(), text.data(), count);
    text.remove_prefix(count);
    status = parser.commit(count);
  }
  return status;
}

struct Parsed {
  Status status = Status::kNeedMore;
  RequestParser::Refusal refusal;
  HttpRequest request;
};

Parsed parse(std::string_view text, RequestLimits limits = {},
             std::size_t step = std::string_view::npos) {
  RequestParser parser(limits, "peer");
  Parsed parsed;
  parsed.status = feed(parser, text, step);
  parsed.refusal = parser.refusal();
  if (parsed.status == Status::kReady) parsed.request = parser.take();
  return parsed;
}

int refusal_of(std::string_view text, RequestLimits limits = {}) {
  const Parsed whole = parse(text, limits);
  const Parsed bytewise = parse(text, limits, 1);
  EXPECT_EQ(whole.status, bytewise.status) << text;
  EXPECT_EQ(whole.refusal.status, bytewise.refusal.status) << text;
  if (whole.status == Status::kRefused) {
    EXPECT_FALSE(whole.refusal.message.empty());
  }
  return whole.status == Status::kRefused ? whole.refusal.status : 0;
}

class InPieces : public ::testing::TestWithParam<std::size_t> {};

TEST_P(InPieces, counted_body_is_padded_and_aligned) {
  const Parsed parsed = parse(
      "POST /v2/models/m/infer?x=1 HTTP/1.1\r\nHost: h\r\ncontent-length: 5\r\nX-Empty:\r\nX-A:  b "
      "c \r\n\r\nhello",
      {}, GetParam());
  ASSERT_EQ(parsed.status, Status::kReady) << parsed.refusal.message;
  const HttpRequest& request = parsed.request;
  EXPECT_EQ(request.method, HttpMethod::kPost);
  EXPECT_EQ(request.method_text, "POST");
  EXPECT_EQ(request.path(), "/v2/models/m/infer");
  EXPECT_EQ(request.query(), "x=1");
  EXPECT_EQ(request.version, 11);
  EXPECT_TRUE(request.keep_alive);
  EXPECT_EQ(request.peer, "peer");
  EXPECT_EQ(request.headers.size(), 4U);
  EXPECT_EQ(request.headers.get("CONTENT-LENGTH"), "5");
  EXPECT_EQ(request.headers.get("x-a"), "b c");
  ASSERT_NE(request.headers.find("x-empty"), nullptr);
  EXPECT_EQ(request.headers.find("x-empty")->value, "");
  EXPECT_EQ(request.headers.find("x-none"), nullptr);
  EXPECT_EQ(request.body.text(), "hello");
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(request.body.data()) % 64, 0U);
  for (std::size_t i = 0; i < HttpRequest::kBodyPadding; ++i)
    EXPECT_EQ(request.body.data()[5 + i], std::byte{0});
}

TEST_P(InPieces, chunked_body_with_extensions_and_trailers) {
  const Parsed parsed = parse(
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
      "4;name=value\r\nWiki\r\nA\r\n0123456789\r\n0\r\nX-Trailer: t\r\n\r\n",
      {}, GetParam());
  ASSERT_EQ(parsed.status, Status::kReady) << parsed.refusal.message;
  EXPECT_EQ(parsed.request.body.text(), "Wiki0123456789");
  EXPECT_EQ(parsed.request.headers.find("x-trailer"), nullptr);
  EXPECT_EQ(parsed.request.headers.size(), 2U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(parsed.request.body.data()) % 64, 0U);
}

TEST_P(InPieces, pipelined_requests_come_in_order_and_leave_nothing_behind) {
  std::string_view text =
      "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
      "POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
      "POST /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz"
      "GET /4 HTTP/1.1\r\nHost: h\r\n\r\n";
  const RequestLimits limits;
  RequestParser parser(limits, "peer");
  std::string seen;
  Status status = feed(parser, text, GetParam());
  while (status == Status::kReady) {
    const HttpRequest request = parser.take();
    seen += std::string(request.target) + "=" + std::string(request.body.text()) + " ";
    status = parser.next();
    if (status == Status::kNeedMore) status = feed(parser, text, GetParam());
  }
  EXPECT_EQ(seen, "/1= /2=abc /3=xyz /4= ");
  EXPECT_EQ(status, Status::kNeedMore);
  EXPECT_TRUE(parser.idle());
}

TEST_P(InPieces, a_head_larger_than_the_first_buffer_keeps_its_views) {
  std::string text = "GET /" + std::string(3000, 'a') + " HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 50; ++i)
    text += "X-" + std::to_string(i) + ": " + std::string(400, static_cast<char>('a' + i % 26)) +
            "\r\n";
  text += "\r\n";
  const Parsed parsed = parse(text, {}, GetParam());
  ASSERT_EQ(parsed.status, Status::kReady) << parsed.refusal.message;
  EXPECT_EQ(parsed.request.target, "/" + std::string(3000, 'a'));
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(parsed.request.headers.get("x-" + std::to_string(i)),
              std::string(400, static_cast<char>('a' + i % 26)));
  }
}

INSTANTIATE_TEST_SUITE_P(RequestParser, InPieces, ::testing::Values(1, 2, 7, 100, 100'000));

TEST(RequestParserTest, a_kept_request_outlives_the_next_one) {
  std::string_view text =
      "GET /first HTTP/1.1\r\nHost: one\r\n\r\nGET /second HTTP/1.1\r\nHost: two\r\n\r\n";
  const RequestLimits limits;
  HttpRequest first;
  HttpRequest second;
  {
    RequestParser parser(limits, "peer");
    ASSERT_EQ(feed(parser, text, 1000), Status::kReady);
    first = parser.take();
    ASSERT_EQ(parser.next(), Status::kReady);
    second = parser.take();
  }
  EXPECT_EQ(first.target, "/first");
  EXPECT_EQ(first.headers.get("host"), "one");
  EXPECT_EQ(second.target, "/second");
  EXPECT_EQ(second.headers.get("host"), "two");
}

TEST(RequestParserTest, the_byte_a_header_names_is_aligned) {
  const RequestLimits limits{.body_offset_header = "Inference-Header-Content-Length"};
  const std::string body = std::string(37, 'j') + std::string(128, 't');
  const Parsed parsed = parse(
      "POST / HTTP/1.1\r\nHost: h\r\ninference-header-content-length: 37\r\nContent-Length: "
      "165\r\n\r\n" +
          body,
      limits);
  ASSERT_EQ(parsed.status, Status::kReady);
  EXPECT_EQ(parsed.request.body.text(), body);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(parsed.request.body.data() + 37) % 64, 0U);
  for (const char* odd : {"-1", "x", "99999999999999999999", ""}) {
    const Parsed unaligned =
        parse(std::string("POST / HTTP/1.1\r\nHost: h\r\nInference-Header-Content-Length: ") + odd +
                  "\r\nContent-Length: 3\r\n\r\nabc",
              limits);
    ASSERT_EQ(unaligned.status, Status::kReady) << odd;
    EXPECT_EQ(unaligned.request.body.text(), "abc");
  }
}

TEST(RequestParserTest, keep_alive_follows_version_and_connection_field) {
  EXPECT_TRUE(parse("GET / HTTP/1.1\r\nHost: h\r\n\r\n").request.keep_alive);
  EXPECT_FALSE(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").request.keep_alive);
  const Parsed old = parse("GET / HTTP/1.0\r\n\r\n");
  ASSERT_EQ(old.status, Status::kReady);
  EXPECT_EQ(old.request.version, 10);
  EXPECT_FALSE(old.request.keep_alive);
  EXPECT_TRUE(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").request.keep_alive);
}

TEST(RequestParserTest, absolute_targets_are_read_as_their_path) {
  EXPECT_EQ(parse("GET http://h:1/a?b HTTP/1.1\r\nHost: h\r\n\r\n").request.target, "/a?b");
  EXPECT_EQ(parse("GET HTTP://h HTTP/1.1\r\nHost: h\r\n\r\n").request.target, "/");
  EXPECT_EQ(parse("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").request.target, "*");
}

TEST(RequestParserTest, the_expectation_is_told_once) {
  const RequestLimits limits;
  RequestParser parser(limits, "peer");
  std::string_view head =
      "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
  EXPECT_EQ(feed(parser, head, 1000), Status::kNeedMore);
  EXPECT_TRUE(parser.take_expectation());
  EXPECT_FALSE(parser.take_expectation());
  std::string_view body = "ok";
  EXPECT_EQ(feed(parser, body, 1000), Status::kReady);
  EXPECT_EQ(parser.take().body.text(), "ok");

  RequestParser eager(limits, "peer");
  std::string_view all =
      "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok";
  EXPECT_EQ(feed(eager, all, 1000), Status::kReady);
  EXPECT_FALSE(eager.take_expectation());
}

TEST(RequestParserTest, smuggling_is_refused) {
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  EXPECT_EQ(refusal_of(post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400);
  EXPECT_EQ(refusal_of(post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
            400);
  EXPECT_EQ(refusal_of(post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), 400);
  EXPECT_EQ(refusal_of(post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), 400);
  EXPECT_EQ(refusal_of(post + "Content-Length: 5, 5\r\n\r\nhello"), 400);
  EXPECT_EQ(refusal_of(post +
                       "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            400);
  EXPECT_EQ(refusal_of(post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501);
  EXPECT_EQ(refusal_of(post + "Transfer-Encoding: identity\r\n\r\n"), 501);
  EXPECT_EQ(refusal_of(post + "Transfer-Encoding: \x0b"
                              "chunked\r\n\r\n0\r\n\r\n"),
            400);
  EXPECT_EQ(refusal_of(post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of(post + "Content-Length : 5\r\n\r\nhello"), 400);
  EXPECT_EQ(refusal_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
  for (const char* length : {"+5", "-1", "0x5", "5 5", "", "99999999999999999999999", "5;"}) {
    EXPECT_EQ(refusal_of(post + "Content-Length: " + length + "\r\n\r\nhello"), 400) << length;
  }
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\n\r\n"), 400);
}

TEST(RequestParserTest, malformed_requests_are_refused) {
  EXPECT_EQ(parse("GET / HTTP/1.1\nHost: h\n\n").refusal.status, 505) << "bare LF";
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n"), 400) << "bare LF in the head";
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n"), 400) << "bare CR";
  EXPECT_EQ(refusal_of(std::string_view("GET / HTTP/1.1\r\nHost: h\0h\r\n\r\n", 29)), 400) << "NUL";
  EXPECT_EQ(refusal_of(std::string_view("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", 28)), 400)
      << "NUL in the target";
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n"), 400) << "folded field";
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: h\r\nX Y: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 505);
  EXPECT_EQ(refusal_of("GET /\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n"), 501);
  EXPECT_EQ(refusal_of("BREW / HTTP/1.1\r\nHost: h\r\n\r\n"), 501);
  EXPECT_EQ(
      refusal_of("POST / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\nx"),
      417);
  EXPECT_EQ(refusal_of("\x16\x03\x01\x02"), 400) << "a TLS client hello";
}

TEST(RequestParserTest, bad_chunks_are_refused) {
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(refusal_of(head + "x\r\nabc\r\n"), 400);
  EXPECT_EQ(refusal_of(head + "-1\r\na\r\n"), 400);
  EXPECT_EQ(refusal_of(head + "\r\n\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of(head + "3\r\nabcd\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of(head + "3\nabc\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(refusal_of(head + "10000000000000000\r\nabc"), 400) << "17 hex digits";
  EXPECT_EQ(refusal_of(head + "ffffffffffffffff\r\nabc"), 413);
  EXPECT_EQ(refusal_of(head + "1;" + std::string(20'000, 'x') + "\r\na\r\n0\r\n\r\n"), 400)
      << "an endless extension";
  EXPECT_EQ(refusal_of(head + "0\r\nContent-Length: 5\r\n\r\n"), 400) << "framing in a trailer";
}

TEST(RequestParserTest, limits_hold) {
  EXPECT_EQ(refusal_of("GET /" + std::string(70'000, 'a')), 431);
  EXPECT_EQ(refusal_of("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(70'000, 'a')), 431);
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 100; ++i) many += "X: y\r\n";
  EXPECT_EQ(refusal_of(many + "\r\n"), 431);
  const RequestLimits small{.body_bytes_max = 8};
  const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
  EXPECT_EQ(refusal_of(post + "Content-Length: 9\r\n\r\n", small), 413);
  EXPECT_EQ(refusal_of(post + "Content-Length: 8\r\n\r\n12345678", small), 0);
  EXPECT_EQ(
      refusal_of(post + "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n4\r\nabcd\r\n", small),
      413);
  EXPECT_THAT(parse(post + "Content-Length: 9\r\n\r\n", small).refusal.message,
              HasSubstr("limit of 8"));
}

TEST(RequestParserTest, a_spent_memory_budget_is_503_or_429) {
  class Broke final : public Allocator {
   public:
    Bytes allocate(std::size_t) override {
      throw Error(Code::kResourceExhausted, "the pool is spent");
    }
  };
  Broke broke;
  const RequestLimits limits{.body_allocator = &broke};
  EXPECT_EQ(refusal_of("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n", limits), 429);
  EXPECT_EQ(
      refusal_of(
          "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
          limits),
      429);
}

}  // namespace
}  // namespace baozi::net
