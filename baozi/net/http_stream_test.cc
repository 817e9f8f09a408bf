#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "baozi/coro/channel.h"
#include "baozi/coro/lane.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/net/http_client.h"
#include "baozi/net/http_server.h"
#include "baozi/net/sse.h"
#include "baozi/net/test_client.h"
#include "baozi/net/test_server.h"

namespace baozi::net {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What the streams of a test have gone through.
struct Counts {
  std::atomic<int> alive{0};
  std::atomic<int> asked{0};
  std::atomic<int> stopped{0};
  std::atomic<int> strangers{0};  // pieces asked for outside the request's Context or executor
};

class CountedStream : public BodyStream {
 public:
  explicit CountedStream(Counts* counts) : counts_(counts) { ++counts_->alive; }
  ~CountedStream() override { --counts_->alive; }

 protected:
  Counts* counts_;
};

// Says what the test puts into a channel; its closing is the end. "error" and "crash" are thrown.
class ScriptedStream final : public CountedStream {
 public:
  ScriptedStream(Counts* counts, Channel<std::string>* script, const RequestTrace* trace)
      : CountedStream(counts), script_(script), trace_(trace) {}

  Task<std::string> next() override {
    ++counts_->asked;
    const Context& context = co_await this_context();
    if (context.trace != trace_ || AsioExecutor::current() == nullptr) ++counts_->strangers;
    std::optional<std::string> piece;
    try {
      piece = co_await script_->receive();
    } catch (const Error&) {
      ++counts_->stopped;
      throw;
    }
    if (piece == "error") throw Error(Code::kInternal, "the model broke");
    if (piece == "crash") throw std::runtime_error("secret detail");
    co_return piece.value_or("");
  }

 private:
  Channel<std::string>* script_;
  const RequestTrace* trace_;
};

std::string flow_piece(int index, std::size_t size) {
  return std::string(size, static_cast<char>('a' + index % 26));
}

// Always has its next piece: `count` of them, of `size` bytes.
class FlowingStream final : public CountedStream {
 public:
  FlowingStream(Counts* counts, int count, std::size_t size)
      : CountedStream(counts), count_(count), size_(size) {}
  Task<std::string> next() override {
    ++counts_->asked;
    if (index_ == count_) co_return "";
    co_return flow_piece(index_++, size_);
  }

 private:
  int count_;
  std::size_t size_;
  int index_ = 0;
};

// A piece every 20 ms, five of them.
class TickingStream final : public CountedStream {
 public:
  using CountedStream::CountedStream;
  Task<std::string> next() override {
    if (left_ == 0) co_return "";
    co_await sleep_for(20ms);
    co_return sse_event(std::to_string(left_--));
  }

 private:
  int left_ = 5;
};

// Hears of no stop, and never ends.
class StubbornStream final : public CountedStream {
 public:
  StubbornStream(Counts* counts, Lane* lane) : CountedStream(counts), lane_(lane) {}
  Task<std::string> next() override {
    co_await switch_to(*lane_);
    std::this_thread::sleep_for(5ms);
    co_return "again";
  }

 private:
  Lane* lane_;
};

// Fails before its coroutine begins.
class HastyStream final : public CountedStream {
 public:
  using CountedStream::CountedStream;
  Task<std::string> next() override { throw Error(Code::kUnavailable, "at once"); }
};

class StreamHandler final : public HttpHandler {
 public:
  static constexpr std::size_t kScripts = 64;

  StreamHandler() {
    for (auto& script : scripts_) script = std::make_unique<Channel<std::string>>(16);
  }
  Task<HttpResponse> handle(HttpRequest request) override { return answer(std::move(request)); }

  void say(std::string piece, std::size_t script = 0) {
    ASSERT_TRUE(scripts_[script]->try_send(std::move(piece)));
  }
  void end(std::size_t script = 0) { scripts_[script]->close(); }
  Counts counts;

 private:
  static int number(std::string_view text) {
    int value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  }

  Task<HttpResponse> answer(HttpRequest request) {
    HttpResponse response;
    response.content_type = kSseContentType;
    const std::string_view query = request.query();
    if (request.path() == "/script") {
      auto* script = scripts_[static_cast<std::size_t>(number(query))].get();
      response.stream = std::make_unique<ScriptedStream>(&counts, script, request.trace);
    } else if (request.path() == "/flow") {  // ?COUNTxSIZE
      const auto size = static_cast<std::size_t>(number(query.substr(query.find('x') + 1)));
      response.stream = std::make_unique<FlowingStream>(&counts, number(query), size);
    } else if (request.path() == "/ticks") {
      response.stream = std::make_unique<TickingStream>(&counts);
    } else if (request.path() == "/stubborn") {
      response.stream = std::make_unique<StubbornStream>(&counts, &lane_);
    } else if (request.path() == "/hasty") {
      response.stream = std::make_unique<HastyStream>(&counts);
    } else if (request.path() == "/none") {
      response.status = 204;
      response.stream = std::make_unique<FlowingStream>(&counts, 3, 10);
    } else if (request.path() == "/before") {
      response.body = "body,";
      response.segments = {Bytes::copy_of("segment,"), Bytes::copy_of("another")};
      response.stream = std::make_unique<FlowingStream>(&counts, 1, 4);
    } else {
      response.body = request.target;
    }
    co_return response;
  }

  std::vector<std::unique_ptr<Channel<std::string>>> scripts_{kScripts};
  Lane lane_{"stubborn"};
};

std::string get(std::string_view target, std::string_view method = "GET") {
  return std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n\r\n";
}

std::string get_1_0(std::string_view target) {
  return "GET " + std::string(target) + " HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
}

class HttpStreamTest : public ServerTest {
 protected:
  StreamHandler handler;
  Counts& counts = handler.counts;

  void start() { start_server(handler); }
  void TearDown() override {
    for (std::size_t i = 0; i < StreamHandler::kScripts; ++i) handler.end(i);
    stop_server();
    EXPECT_EQ(counts.alive, 0);
    EXPECT_EQ(counts.strangers, 0);
  }
  bool asked(int times) {
    return eventually([&] { return counts.asked == times; });
  }
  // Whether nothing is left of a stream, and of its connection.
  bool over(Duration limit = 10s) {
    return eventually([&] { return counts.alive == 0 && stats().connections == 0; }, limit);
  }
  static std::vector<std::string> pieces(TestClient& client) {
    std::vector<std::string> all;
    for (;;) {
      TestPiece piece = client.hear_piece();
      if (!piece.came) all.emplace_back("(cut off)");
      if (piece.data.empty()) return all;
      all.push_back(std::move(piece.data));
    }
  }
};

// ---- The body

TEST_F(HttpStreamTest, each_piece_arrives_before_the_next_exists) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say(get("/script")));
  const TestAnswer head = client.hear();
  EXPECT_EQ(head.status, 200);
  EXPECT_TRUE(head.has("Transfer-Encoding: chunked\r\n")) << head.head;
  EXPECT_TRUE(head.has("Content-Type: text/event-stream\r\n"));
  EXPECT_FALSE(head.has("Content-Length"));
  EXPECT_FALSE(head.has("Connection:"));
  for (const char* piece : {"one", "two", "three\r\n0\r\n\r\n"}) {
    handler.say(piece);
    EXPECT_EQ(client.hear_piece().data, piece);
  }
  EXPECT_TRUE(asked(4));
  EXPECT_EQ(stats().in_flight, 1U);
  handler.end();
  const TestPiece last = client.hear_piece();
  EXPECT_TRUE(last.came);
  EXPECT_EQ(last.data, "");
  EXPECT_EQ(stats().in_flight, 0U);
  EXPECT_EQ(counts.alive, 0);
}

TEST_F(HttpStreamTest, pieces_arrive_when_they_are_made) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say(get("/ticks")));
  Time before = Clock::now();
  EXPECT_EQ(client.hear().status, 200);
  for (int i = 5; i > 0; --i) {
    const TestPiece piece = client.hear_piece();
    EXPECT_EQ(piece.data, "data: " + std::to_string(i) + "\n\n");
    EXPECT_GT(piece.at - before, 5ms);  // not all at the end
    before = piece.at;
  }
  EXPECT_EQ(client.hear_piece().data, "");
}

TEST_F(HttpStreamTest, body_and_segments_come_before_the_stream) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say(get("/before")));
  client.hear();
  EXPECT_THAT(pieces(client), ElementsAre("body,segment,another", "aaaa"));
}

TEST_F(HttpStreamTest, a_stream_may_be_empty) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say(get("/flow?0x0")));
  EXPECT_TRUE(client.hear().has("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(pieces(client), ElementsAre());
  ASSERT_TRUE(client.say(get("/next")));
  EXPECT_EQ(client.hear().body, "/next");
}

TEST_F(HttpStreamTest, large_pieces_reach_a_slow_reader_whole) {
  start();
  TestClient client(server_->port(), 16 << 10);
  ASSERT_TRUE(client.say(get("/flow?3x10000000") + get("/next")));
  EXPECT_EQ(client.hear().status, 200);
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(50ms);
    EXPECT_TRUE(client.hear_piece().data == flow_piece(i, 10'000'000));
  }
  EXPECT_EQ(client.hear_piece().data, "");
  EXPECT_EQ(client.hear().body, "/next");
}

TEST_F(HttpStreamTest, our_own_client_reads_a_stream_as_one_body) {
  start();
  HttpClient client(*io_, "127.0.0.1", server_->port());
  const HttpReply whole = sync_wait(client.get("/flow?100x1000"));
  EXPECT_EQ(whole.body.size(), 100'000U);
  EXPECT_EQ(whole.header("Transfer-Encoding"), "chunked");
  EXPECT_THROW(sync_wait(client.get("/hasty")), Error);
}

// ---- The connection

TEST_F(HttpStreamTest, the_connection_is_kept_after_a_stream) {
  start();
  TestClient client = connect();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.say(get("/flow?2x3")));
    EXPECT_EQ(client.hear().status, 200);
    EXPECT_THAT(pieces(client), ElementsAre("aaa", "bbb"));
    ASSERT_TRUE(client.say(get("/plain")));
    EXPECT_EQ(client.hear().body, "/plain");
  }
  EXPECT_EQ(stats().requests, 6U);
  EXPECT_EQ(stats().connections, 1U);
}

TEST_F(HttpStreamTest, a_pipelined_request_waits_for_the_end_of_the_stream) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say(get("/script") + get("/second") + get("/flow?1x2") + get("/fourth")));
  EXPECT_EQ(client.hear().status, 200);
  handler.say("first");
  handler.end();
  EXPECT_THAT(pieces(client), ElementsAre("first"));
  EXPECT_EQ(client.hear().body, "/second");
  client.hear();
  EXPECT_THAT(pieces(client), ElementsAre("aa"));
  EXPECT_EQ(client.hear().body, "/fourth");
}

TEST_F(HttpStreamTest, to_http_1_0_the_end_of_the_connection_is_the_end_of_the_body) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say(get_1_0("/before")));
  const TestAnswer head = client.hear();
  EXPECT_FALSE(head.has("Transfer-Encoding")) << head.head;
  EXPECT_FALSE(head.has("Content-Length"));
  EXPECT_TRUE(head.has("Connection: close\r\n"));
  EXPECT_EQ(client.hear_rest(), "body,segment,anotheraaaa");
  EXPECT_FALSE(client.was_reset());
}

TEST_F(HttpStreamTest, http_1_0_is_reset_when_a_stream_fails) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say(get_1_0("/script")));
  client.hear();
  ASSERT_TRUE(asked(1));
  handler.say("error");
  client.hear_rest();
  EXPECT_TRUE(client.was_reset());
}

TEST_F(HttpStreamTest, head_requests_and_204_drop_the_stream_unasked) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say(get("/flow?3x10", "HEAD")));
  EXPECT_TRUE(client.hear(true).has("Transfer-Encoding: chunked\r\n"));
  ASSERT_TRUE(client.say(get("/none")));
  const TestAnswer none = client.hear();
  EXPECT_EQ(none.status, 204);
  EXPECT_FALSE(none.has("Transfer-Encoding"));
  ASSERT_TRUE(client.say(get("/next")));
  EXPECT_EQ(client.hear().body, "/next");
  EXPECT_EQ(counts.asked, 0);
  EXPECT_EQ(counts.alive, 0);
}

TEST_F(HttpStreamTest, many_streams_at_once) {
  start();
  constexpr std::size_t kClients = StreamHandler::kScripts;
  std::vector<TestClient> clients;
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(connect());
    ASSERT_TRUE(clients[i].say(get("/script?" + std::to_string(i))));
  }
  for (TestClient& client : clients) ASSERT_EQ(client.hear().status, 200);
  EXPECT_EQ(stats().in_flight, kClients);
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < kClients; ++i)
      handler.say(std::to_string(round) + " of " + std::to_string(i), i);
    for (std::size_t i = 0; i < kClients; ++i) {
      ASSERT_EQ(clients[i].hear_piece().data, std::to_string(round) + " of " + std::to_string(i));
    }
  }
  for (std::size_t i = 0; i < kClients; ++i) handler.end(i);
  for (TestClient& client : clients) EXPECT_THAT(pieces(client), ElementsAre());
  EXPECT_EQ(stats().in_flight, 0U);
}

TEST_F(HttpStreamTest, a_stream_that_is_always_ready_leaves_others_their_turn) {
  start();
  TestClient greedy = connect();
  ASSERT_TRUE(greedy.say(get("/flow?1000000000x100")));
  std::atomic<bool> enough{false};
  std::thread reader([&] {
    while (!enough && greedy.skip_some()) {
    }
    greedy.close();
  });
  TestClient other = connect();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(other.say(get("/plain")));
    EXPECT_EQ(other.hear().status, 200);
  }
  enough = true;
  reader.join();
  EXPECT_TRUE(eventually([&] { return counts.alive == 0; }));
}

// ---- What goes wrong

TEST_F(HttpStreamTest, an_error_cuts_the_connection_off_behind_what_was_said) {
  start();
  for (const char* kind : {"error", "crash"}) {
    TestClient client = connect();
    ASSERT_TRUE(client.say(get("/script") + get("/never answered")));
    client.hear();
    handler.say("so far");
    handler.say(kind);
    EXPECT_THAT(pieces(client), ElementsAre("so far", "(cut off)"));
    EXPECT_TRUE(client.hears_end());
  }
  EXPECT_EQ(stats().in_flight, 0U);
  EXPECT_EQ(stats().disconnects, 0U);
  EXPECT_EQ(stats().requests, 2U);
}

TEST_F(HttpStreamTest, a_stream_that_throws_at_once_is_cut_off_too) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say(get("/hasty")));
  EXPECT_EQ(client.hear().status, 200);
  EXPECT_THAT(pieces(client), ElementsAre("(cut off)"));
}

TEST_F(HttpStreamTest, a_client_that_goes_away_stops_the_stream_soon) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say(get("/script")));
  client.hear();
  handler.say("one");
  EXPECT_EQ(client.hear_piece().data, "one");
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(counts.stopped, 0);
  const Time start_of_wait = Clock::now();
  client.close();
  ASSERT_TRUE(eventually([&] { return counts.alive == 0; }));
  EXPECT_LT(Clock::now() - start_of_wait, 200ms);
  EXPECT_EQ(counts.stopped, 1);
  EXPECT_TRUE(over());
  EXPECT_EQ(stats().disconnects, 1U);
  EXPECT_EQ(stats().in_flight, 0U);
}

TEST_F(HttpStreamTest, a_client_that_goes_away_while_the_socket_is_full_ends_the_stream) {
  start();
  TestClient client(server_->port(), 4096);
  ASSERT_TRUE(client.say(get("/flow?1000000000x100000")));
  EXPECT_EQ(client.hear().status, 200);
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(counts.alive, 1);
  client.close();
  EXPECT_TRUE(over(1s));
  EXPECT_EQ(stats().disconnects, 1U);
  EXPECT_EQ(stats().in_flight, 0U);
}

TEST_F(HttpStreamTest, a_client_that_held_the_stream_up_is_watched_again) {
  options.stall_timeout = 100ms;
  start();
  TestClient client(server_->port(), 4096);
  ASSERT_TRUE(client.say(get("/script")));
  client.hear();
  handler.say(std::string(10'000'000, 'x'));
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(counts.asked, 1);
  EXPECT_EQ(client.hear_piece().data.size(), 10'000'000U);
  ASSERT_TRUE(asked(2));
  std::this_thread::sleep_for(200ms);  // the stream's time, not the client's
  handler.say("more");
  EXPECT_EQ(client.hear_piece().data, "more");
  client.close();
  EXPECT_TRUE(over(1s));
  EXPECT_EQ(counts.stopped, 1);
}

TEST_F(HttpStreamTest, a_client_that_does_not_read_holds_the_stream_up_and_is_closed) {
  options.stall_timeout = 300ms;
  start();
  TestClient deaf(server_->port(), 4096);
  ASSERT_TRUE(deaf.say(get("/flow?1000000000x100000")));
  std::this_thread::sleep_for(100ms);
  const int asked_so_far = counts.asked;
  EXPECT_LT(asked_so_far, 200);  // 20 MB: what the system's buffers take
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(counts.asked, asked_so_far);
  EXPECT_TRUE(over());
  EXPECT_EQ(counts.asked, asked_so_far);
  EXPECT_EQ(stats().in_flight, 0U);
  EXPECT_EQ(stats().disconnects, 0U);
}

TEST_F(HttpStreamTest, a_slow_stream_is_no_stalled_one) {
  options.stall_timeout = 50ms;
  options.idle_timeout = 50ms;
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say(get("/script")));
  client.hear();
  std::this_thread::sleep_for(200ms);
  handler.say("late");
  handler.end();
  EXPECT_THAT(pieces(client), ElementsAre("late"));
}

// ---- The end of the server

TEST_F(HttpStreamTest, draining_waits_for_the_end_of_a_stream) {
  start();
  TestClient client = connect();
  ASSERT_TRUE(client.say(get("/script")));
  client.hear();
  ASSERT_TRUE(asked(1));
  std::thread drainer([&] { drain(20s); });
  ASSERT_TRUE(eventually([&] {
    try {
      connect();
      return false;
    } catch (const std::runtime_error&) {
      return true;
    }
  }));
  handler.say("still");
  EXPECT_EQ(client.hear_piece().data, "still");
  handler.end();
  EXPECT_EQ(client.hear_piece().came, true);
  EXPECT_TRUE(client.hears_end());
  client.close();
  drainer.join();
  EXPECT_EQ(counts.stopped, 0);
}

TEST_F(HttpStreamTest, streams_that_are_left_at_the_drain_deadline_are_cut_off) {
  start();
  TestClient waiting = connect();
  ASSERT_TRUE(waiting.say(get("/script")));
  waiting.hear();
  TestClient stubborn = connect();
  ASSERT_TRUE(stubborn.say(get("/stubborn")));
  stubborn.hear();
  TestClient deaf(server_->port(), 4096);
  ASSERT_TRUE(deaf.say(get("/flow?1000000000x100000")));
  deaf.hear();
  ASSERT_EQ(counts.alive, 3);
  const Time before = Clock::now();
  drain(50ms);
  EXPECT_LT(Clock::now() - before, 5s);
  EXPECT_EQ(counts.alive, 0);
  EXPECT_EQ(counts.stopped, 1);
  EXPECT_THAT(pieces(waiting), ElementsAre("(cut off)"));
  EXPECT_EQ(pieces(stubborn).back(), "(cut off)");
}

}  // namespace
}  // namespace baozi::net
