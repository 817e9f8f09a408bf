#include "baozi/net/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "baozi/coro/asio/asio_executor.h"
#include "baozi/coro/event.h"
#include "baozi/coro/lane.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/net/test_client.h"
#include "baozi/net/test_server.h"

namespace baozi::net {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// Answers by path.
class TestHandler final : public HttpHandler {
 public:
  Task<HttpResponse> handle(HttpRequest request) override {
    if (request.path() == "/wait") return wait(std::move(request));
    if (request.path() == "/lane") return hop(std::move(request), &lane_);
    return answer(std::move(request));
  }

  void let_go() { gate_.set(); }
  int waiting() const { return waiting_; }
  int cancelled() const { return cancelled_; }

 private:
  static Task<HttpResponse> answer(HttpRequest request) {
    HttpResponse response;
    if (request.path() == "/echo") {
      response.content_type = "application/octet-stream";
      response.body = request.body.text();
    } else if (request.path() == "/big") {
      response.body = "big:";
      for (int i = 0; i < 100; ++i)
        response.segments.push_back(
            Bytes::copy_of(std::string(100'000, static_cast<char>('a' + i % 26))));
    } else if (request.path() == "/error") {
      throw Error(Code::kNotFound, "no \"such\" model");
    } else if (request.path() == "/crash") {
      throw std::runtime_error("secret detail");
    } else if (request.path() == "/split") {
      response.headers = {{"X-Good", "yes"}, {"X-Bad", "a\r\nX-Smuggled: b"}};
    } else if (request.path() == "/none") {
      response.status = 204;
    } else if (request.path() == "/close") {
      response.close = true;
      response.body = "bye";
    } else {
      response.body = std::string(request.method_text) + " " + std::string(request.target);
    }
    co_return response;
  }

  Task<HttpResponse> wait(HttpRequest request) {
    HttpResponse response;
    ++waiting_;
    try {
      co_await gate_.wait();
    } catch (const Error&) {
      ++cancelled_;
      --waiting_;
      throw;
    }
    --waiting_;
    response.body = "waited for " + std::string(request.query());
    co_return response;
  }

  static Task<HttpResponse> hop(HttpRequest request, Lane* lane) {
    co_await switch_to(*lane);
    HttpResponse response;
    response.body = "from " + std::string(request.peer.substr(0, request.peer.find(':')));
    co_return response;
  }

  Event gate_;
  Lane lane_{"lane"};
  std::atomic<int> waiting_{0};
  std::atomic<int> cancelled_{0};
};

class HttpServerTest : public ServerTest {
 protected:
  TestHandler handler;

  void start() { start_server(handler); }
  void TearDown() override {
    handler.let_go();
    stop_server();
  }
};

const char kGet[] = "GET /x?y HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_F(HttpServerTest, answers_and_keeps_the_connection) {
  start();
  TestClient client = connect();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.say(kGet));
    const TestAnswer answer = client.hear();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "GET /x?y");
    EXPECT_TRUE(answer.has("HTTP/1.1 200 OK\r\n"));
    EXPECT_TRUE(answer.has("Content-Type: application/json\r\n"));
    EXPECT_TRUE(answer.has("\r\nDate: ")) << answer.head;
    EXPECT_TRUE(answer.has(" GMT\r\n"));
    EXPECT_FALSE(answer.has("Connection:"));
  }
  EXPECT_EQ(stats().requests, 3U);
  EXPECT_EQ(stats().connections, 1U);
  EXPECT_EQ(stats().in_flight, 0U);
}

TEST_F(HttpServerTest, a_byte_at_a_time_is_served) {
  start();
  TestClient client = connect();
  const std::string text =
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nslow" + std::string(kGet);
  for (const char byte : text) ASSERT_TRUE(client.say({&byte, 1}));
  EXPECT_EQ(client.hear().body, "slow");
  EXPECT_EQ(client.hear().body, "GET /x?y");
}

TEST_F(HttpServerTest, pipelined_requests_are_answered_in_order) {
  start();
  TestClient client = connect();
  std::string text;
  for (int i = 0; i < 300; ++i) {
    const std::string body(static_cast<std::size_t>(i) * 7, 'b');
    text += i % 3 == 0 ? "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n"
                       : "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                             std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  std::thread speaker([&] { EXPECT_TRUE(client.say(text)); });
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(client.hear().body, i % 3 == 0 ? "GET /" + std::to_string(i)
                                             : std::string(static_cast<std::size_t>(i) * 7, 'b'));
  }
  speaker.join();
}

TEST_F(HttpServerTest, chunked_bodies_and_large_ones_arrive_whole) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(
      client.say("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                 "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
  EXPECT_EQ(client.hear().body, "abcde");
  std::string large(5'000'000, ' ');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 % 251);
  std::thread speaker([&] {
    EXPECT_TRUE(
        client.say("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n" + large));
  });
  EXPECT_EQ(client.hear().body, large);
  speaker.join();
}

TEST_F(HttpServerTest, segments_are_sent_after_the_body_also_to_a_slow_reader) {
  start();
  TestClient client(server_->port(), 4096);
  ASSERT_TRUE(client.say("GET /big HTTP/1.1\r\nHost: h\r\n\r\n"));
  std::this_thread::sleep_for(100ms);
  const TestAnswer answer = client.hear();
  std::string expected = "big:";
  for (int i = 0; i < 100; ++i) expected += std::string(100'000, static_cast<char>('a' + i % 26));
  EXPECT_TRUE(answer.body == expected);
  ASSERT_TRUE(client.say(kGet));
  EXPECT_EQ(client.hear().body, "GET /x?y");
}

TEST_F(HttpServerTest, head_requests_and_204_have_no_body) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say("HEAD /abc HTTP/1.1\r\nHost: h\r\n\r\n"));
  const TestAnswer head = client.hear(true);
  EXPECT_TRUE(head.has("Content-Length: 9\r\n")) << head.head;
  ASSERT_TRUE(client.say("GET /none HTTP/1.1\r\nHost: h\r\n\r\n"));
  const TestAnswer none = client.hear();
  EXPECT_EQ(none.status, 204);
  EXPECT_FALSE(none.has("Content-Length"));
  ASSERT_TRUE(client.say(kGet));
  EXPECT_EQ(client.hear().body, "GET /x?y");
}

TEST_F(HttpServerTest, a_client_that_expects_100_is_told_to_go_on) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say(
      "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
  EXPECT_EQ(client.hear().status, 100);
  ASSERT_TRUE(client.say("ok"));
  EXPECT_EQ(client.hear().body, "ok");
}

TEST_F(HttpServerTest, http_1_0_is_answered_and_closed_unless_kept_alive) {
  start();
  TestClient plain = connect();
  ASSERT_TRUE(plain.say("GET /a HTTP/1.0\r\n\r\n"));
  const TestAnswer answer = plain.hear();
  EXPECT_EQ(answer.body, "GET /a");
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  EXPECT_TRUE(plain.hears_end());
  TestClient kept = connect();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(kept.say("GET /b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    EXPECT_TRUE(kept.hear().has("Connection: keep-alive\r\n"));
  }
}

TEST_F(HttpServerTest, either_side_may_close_after_an_answer) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
  EXPECT_TRUE(client.hear().has("Connection: close\r\n"));
  EXPECT_TRUE(client.hears_end());
  TestClient other = connect();
  ASSERT_TRUE(other.say("GET /close HTTP/1.1\r\nHost: h\r\n\r\n" + std::string(kGet)));
  EXPECT_EQ(other.hear().body, "bye");
  EXPECT_TRUE(other.hears_end());
}

TEST_F(HttpServerTest, a_half_closed_client_still_gets_its_answer) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say(kGet));
  client.end_sending();
  EXPECT_EQ(client.hear().body, "GET /x?y");
  EXPECT_TRUE(client.hears_end());
  TestClient halfway = connect();
  ASSERT_TRUE(halfway.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"));
  halfway.end_sending();
  EXPECT_TRUE(halfway.hears_end());
}

TEST_F(HttpServerTest, errors_have_their_status_and_a_json_body) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say("GET /error HTTP/1.1\r\nHost: h\r\n\r\n"));
  TestAnswer answer = client.hear();
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, R"({"error":"no \"such\" model"})");
  ASSERT_TRUE(client.say("GET /crash HTTP/1.1\r\nHost: h\r\n\r\n"));
  answer = client.hear();
  EXPECT_EQ(answer.status, 500);
  EXPECT_EQ(answer.body, R"({"error":"internal error"})");
  ASSERT_TRUE(client.say("GET /split HTTP/1.1\r\nHost: h\r\n\r\n"));
  answer = client.hear();
  EXPECT_TRUE(answer.has("X-Good: yes\r\n"));
  EXPECT_FALSE(answer.has("X-Smuggled"));
}

TEST_F(HttpServerTest, malformed_and_oversized_requests_are_refused_and_the_connection_closed) {
  options.body_bytes_max = 1000;
  start();
  const std::pair<std::string, int> cases[] = {
      {"nonsense\r\n\r\n", 400},
      {"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 501},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'x'), 413},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       400},
      {"GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n", 431},
  };
  for (const auto& [text, status] : cases) {
    TestClient client = connect();
    client.say(text);
    const TestAnswer answer = client.hear();
    EXPECT_EQ(answer.status, status);
    EXPECT_THAT(answer.body, HasSubstr("{\"error\":\""));
    EXPECT_TRUE(answer.has("Connection: close\r\n"));
    EXPECT_TRUE(client.hears_end());
  }
  EXPECT_EQ(stats().refused, 5U);
  EXPECT_EQ(stats().requests, 0U);
}

TEST_F(HttpServerTest, the_answer_comes_from_the_io_thread_after_a_hop) {
  start();
  TestClient client = connect();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(client.say("GET /lane HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_EQ(client.hear().body, "from 127.0.0.1");
  }
}

TEST_F(HttpServerTest, a_disconnect_cancels_the_request_soon) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say("GET /wait?a HTTP/1.1\r\nHost: h\r\n\r\n" +
                         std::string(kGet)));  // with a pipelined one behind it
  ASSERT_TRUE(eventually([&] { return handler.waiting() == 1; }));
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(handler.cancelled(), 0);
  const Time start_of_wait = Clock::now();
  client.close();
  ASSERT_TRUE(eventually([&] { return handler.cancelled() == 1; }));
  EXPECT_LT(Clock::now() - start_of_wait, 100ms);
  EXPECT_EQ(stats().disconnects, 1U);
  EXPECT_TRUE(eventually([&] { return stats().connections == 0; }));
}

TEST_F(HttpServerTest, a_client_that_is_gone_at_once_cancels_too) {
  start();
  {
    TestClient client = connect();
    ASSERT_TRUE(client.say("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"));
  }
  EXPECT_TRUE(eventually([&] { return handler.cancelled() == 1; }));
}

TEST_F(HttpServerTest, slow_clients_are_timed_out) {
  options.head_timeout = 100ms;
  options.stall_timeout = 100ms;
  options.idle_timeout = 100ms;
  options.linger_timeout = 100ms;
  start();
  TestClient idle = connect();
  TestClient head = connect();
  TestClient body = connect();
  ASSERT_TRUE(head.say("GET / HTTP/1.1\r\nHo"));
  ASSERT_TRUE(body.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"));
  EXPECT_EQ(head.hear().status, 408);
  EXPECT_TRUE(head.hears_end());
  EXPECT_EQ(body.hear().status, 408);
  EXPECT_TRUE(body.hears_end());
  EXPECT_TRUE(idle.hears_end());
  TestClient deaf(server_->port(), 4096);
  ASSERT_TRUE(deaf.say("GET /big HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_TRUE(eventually([&] { return stats().requests == 1 && stats().connections == 0; }));
}

TEST_F(HttpServerTest, too_many_connections_are_told_so) {
  options.connections_max = 2;
  start();
  TestClient first = connect();
  TestClient second = connect();
  ASSERT_TRUE(first.say(kGet));
  EXPECT_EQ(first.hear().status, 200);
  ASSERT_TRUE(second.say(kGet));
  EXPECT_EQ(second.hear().status, 200);
  TestClient third = connect();
  EXPECT_EQ(third.hear().status, 503);
  EXPECT_TRUE(third.hears_end());
  first.close();
  EXPECT_TRUE(eventually([&] { return stats().connections == 1; }));
  TestClient fourth = connect();
  ASSERT_TRUE(fourth.say(kGet));
  EXPECT_EQ(fourth.hear().status, 200);
}

TEST_F(HttpServerTest, a_thousand_connections) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 4096);
  setrlimit(RLIMIT_NOFILE, &files);
  ASSERT_GE(files.rlim_cur, 2100U)
      << "a thousand connections have two ends each: raise the limit of open files";
  start();
  std::vector<TestClient> clients;
  for (int i = 0; i < 1000; ++i) clients.push_back(connect());
  for (int round = 0; round < 3; ++round) {
    for (TestClient& client : clients) ASSERT_TRUE(client.say(kGet));
    for (TestClient& client : clients) ASSERT_EQ(client.hear().status, 200);
  }
  EXPECT_EQ(stats().connections, 1000U);
}

TEST_F(HttpServerTest, draining_finishes_what_is_in_flight_and_closes_the_rest) {
  start();
  TestClient idle = connect();
  ASSERT_TRUE(idle.say(kGet));
  EXPECT_EQ(idle.hear().status, 200);
  TestClient busy = connect();
  ASSERT_TRUE(busy.say("GET /wait?b HTTP/1.1\r\nHost: h\r\n\r\n"));
  ASSERT_TRUE(eventually([&] { return handler.waiting() == 1; }));
  std::thread drainer([&] { drain(20s); });
  EXPECT_TRUE(idle.hears_end());
  EXPECT_THROW(connect(), std::runtime_error);
  handler.let_go();
  const TestAnswer answer = busy.hear();
  EXPECT_EQ(answer.body, "waited for b");
  EXPECT_TRUE(answer.has("Connection: close\r\n"));
  EXPECT_TRUE(busy.hears_end());
  busy.close();
  drainer.join();
  runner_.join();
}

TEST_F(HttpServerTest, what_is_left_at_the_drain_deadline_is_cancelled) {
  start();
  TestClient busy = connect();
  ASSERT_TRUE(busy.say("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"));
  TestClient half = connect();
  ASSERT_TRUE(half.say("POST / HTTP/1.1\r\n"));
  ASSERT_TRUE(eventually([&] { return handler.waiting() == 1; }));
  drain(50ms);
  EXPECT_EQ(handler.cancelled(), 1);
  EXPECT_EQ(busy.hear().status, 499);
  runner_.join();
}

TEST_F(HttpServerTest, stopping_its_context_ends_run) {
  io_ = std::make_unique<AsioThread>();
  server_ = std::make_unique<HttpServer>(*io_, options, handler);
  StopSource stop;
  const Context context{stop.token(), kNever, nullptr};
  runner_ = std::thread([&] { sync_wait(server_->run().on(*io_), context); });
  TestClient client = connect();
  ASSERT_TRUE(client.say("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"));
  ASSERT_TRUE(eventually([&] { return handler.waiting() == 1; }));
  stop.request_stop();
  runner_.join();
  EXPECT_EQ(handler.cancelled(), 1);
}

TEST_F(HttpServerTest, an_address_in_use_is_an_error_that_says_so) {
  start();
  HttpServerOptions same;
  same.port = server_->port();
  try {
    const HttpServer second(*io_, same, handler);
    FAIL() << "two servers on one port";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
    EXPECT_THAT(error.message(), HasSubstr(std::to_string(same.port)));
  }
  HttpServerOptions odd;
  odd.host = "not an address";
  EXPECT_THROW(HttpServer(*io_, odd, handler), Error);
}

TEST_F(HttpServerTest, it_listens_before_it_runs) {
  io_ = std::make_unique<AsioThread>();
  server_ = std::make_unique<HttpServer>(*io_, options, handler);
  TestClient early = connect();
  ASSERT_TRUE(early.say(kGet));
  runner_ = std::thread([this] { sync_wait(server_->run().on(*io_)); });
  EXPECT_EQ(early.hear().status, 200);
}

}  // namespace
}  // namespace baozi::net
