#include "baozi/net/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "baozi/coro/asio/asio_executor.h"
#include "baozi/coro/event.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/net/http_server.h"

namespace baozi::net {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class Mirror final : public HttpHandler {
 public:
  Task<HttpResponse> handle(HttpRequest request) override {
    if (request.path() == "/never") return never(&gate_);
    return mirror(std::move(request));
  }

 private:
  static Task<HttpResponse> mirror(HttpRequest request) {
    HttpResponse response;
    response.status = request.path() == "/teapot" ? 418 : 200;
    response.close = request.path() == "/close";
    response.headers = {{"X-Peer", std::string(request.peer)}};
    response.body = std::string(request.method_text) + " " +
                    std::string(request.headers.get("x-in")) + " " +
                    std::string(request.body.text());
    co_return response;
  }
  static Task<HttpResponse> never(Event* gate) {
    co_await gate->wait();
    co_return HttpResponse{};
  }
  Event gate_;
};

class HttpClientTest : public ::testing::Test {
 protected:
  ~HttpClientTest() override {
    sync_wait(server.drain(Clock::now() + 1s));
    runner.join();
  }

  AsioThread io;
  Mirror handler;
  HttpServer server{io, {}, handler};
  std::thread runner{[this] { sync_wait(server.run().on(io)); }};
};

TEST_F(HttpClientTest, asks_again_on_the_same_connection) {
  HttpClient client(io, "127.0.0.1", server.port());
  const HttpReply first =
      sync_wait(client.request(HttpMethod::kPost, "/", {{"X-In", "h"}}, "body"));
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.body, "POST h body");
  const HttpReply second = sync_wait(client.get("/teapot"));
  EXPECT_EQ(second.status, 418);
  EXPECT_FALSE(first.header("x-peer").empty());
  EXPECT_EQ(first.header("x-peer"), second.header("X-PEER"));
  const HttpReply head = sync_wait(client.request(HttpMethod::kHead, "/"));
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head.header("content-length"), "6");
}

TEST_F(HttpClientTest, connects_again_after_a_close) {
  HttpClient client(io, "localhost", server.port());
  const HttpReply first = sync_wait(client.get("/close"));
  const HttpReply second = sync_wait(client.get("/"));
  EXPECT_EQ(second.status, 200);
  EXPECT_NE(first.header("x-peer"), second.header("x-peer"));
}

TEST_F(HttpClientTest, a_deadline_ends_a_request_and_the_next_one_works) {
  HttpClient client(io, "127.0.0.1", server.port());
  try {
    sync_wait(with_timeout(client.get("/never"), 30ms));
    FAIL() << "an answer to /never";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDeadlineExceeded);
  }
  EXPECT_EQ(sync_wait(client.get("/")).status, 200);
}

TEST_F(HttpClientTest, a_host_that_does_not_exist_is_an_error_that_says_which) {
  HttpClient client(io, "nobody.invalid", 80);
  try {
    sync_wait(client.get("/"));
    FAIL() << "an answer from a host that cannot be";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
    EXPECT_NE(error.message().find("nobody.invalid:80"), std::string::npos) << error.message();
  }
}

TEST_F(HttpClientTest, nobody_there_is_an_error_that_says_where) {
  HttpClient client(io, "127.0.0.1", 1);
  try {
    sync_wait(client.get("/"));
    FAIL() << "an answer from port 1";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
    EXPECT_THAT(error.message(), HasSubstr("127.0.0.1:1"));
  }
}

}  // namespace
}  // namespace baozi::net
