#include "baozi/redis/redis_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baozi/base/error.h"
#include "baozi/redis/test_redis.h"

namespace baozi::redis {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

Code code_of(auto&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  return Code::kOk;
}

TEST(RedisConnection, AsksManyInOneRound) {
  const TestRedis redis;
  RedisConnection connection(redis.address(), Clock::now() + 5s);
  const std::string binary("a\0b\r\n", 5);
  std::vector<Command> commands;
  commands.push_back({"SET", "key", binary});
  commands.push_back({"GET", "key"});
  commands.push_back({"GET", "none"});
  commands.push_back({"ZADD", "set", "1", "x", "2", "y"});
  commands.push_back({"ZRANGE", "set", "0", "-1"});
  commands.push_back({"GET", "set"});
  const std::vector<Reply> replies = connection.ask(commands, Clock::now() + 5s);
  ASSERT_EQ(replies.size(), 6u);
  EXPECT_EQ(replies[0].text.text(), "OK");
  EXPECT_EQ(replies[1].text.text(), binary);
  EXPECT_EQ(replies[2].kind, Reply::Kind::kNil);
  EXPECT_EQ(replies[3].number, 2);
  EXPECT_THAT(replies[4].items, UnorderedElementsAre("x", "y"));
  EXPECT_EQ(replies[5].kind, Reply::Kind::kError);
  EXPECT_THAT(std::string(replies[5].text.text()), HasSubstr("WRONGTYPE"));
}

TEST(RedisConnection, GivesThePasswordAndChoosesTheDatabase) {
  const TestRedis redis({"--requirepass", "steam"});
  Address address = redis.address();
  EXPECT_EQ(code_of([&] {
              address.password = "wrong";
              RedisConnection connection(address, Clock::now() + 5s);
            }),
            Code::kUnauthenticated);
  address.password = "steam";
  address.database = 3;
  RedisConnection connection(address, Clock::now() + 5s);
  std::vector<Command> commands;
  commands.push_back({"SET", "key", "value"});
  commands.push_back({"SELECT", "0"});
  commands.push_back({"GET", "key"});
  EXPECT_EQ(connection.ask(commands, Clock::now() + 5s)[2].kind, Reply::Kind::kNil);
}

TEST(RedisConnection, NobodyThere) {
  std::uint16_t port = 0;
  ::close(listen_anywhere(port));
  EXPECT_EQ(
      code_of([&] { RedisConnection({.host = "127.0.0.1", .port = port}, Clock::now() + 5s); }),
      Code::kUnavailable);
}

// What somebody else says who listens there, and what is made of it.
Code code_after(std::string_view words, Duration patience = 5s) {
  const TestPort port([&](int connection) {
    char request[4096];
    if (::read(connection, request, sizeof request) <= 0) return;
    if (::send(connection, words.data(), words.size(), MSG_NOSIGNAL) < 0) return;
    (void)!::read(connection, request, sizeof request);  // until the other side ends it
  });
  RedisConnection connection(port.address(), Clock::now() + 5s);
  return code_of(
      [&] { connection.ask(std::vector<Command>(1, {"GET", "key"}), Clock::now() + patience); });
}

TEST(RedisConnection, TakesNoGarbage) {
  EXPECT_EQ(code_after("HTTP/1.1 400 Bad Request\r\n\r\n"), Code::kDataLoss);
  EXPECT_EQ(code_after("$-7\r\n\r\n"), Code::kDataLoss);
  EXPECT_EQ(code_after("$abc\r\n"), Code::kDataLoss);
}

TEST(RedisConnection, WaitsNoLongerThanItIsTold) {
  EXPECT_EQ(code_after("", 30ms), Code::kDeadlineExceeded) << "says nothing";
  EXPECT_EQ(code_after("$100\r\nhalf", 30ms), Code::kDeadlineExceeded) << "says half of it";
}

// A byte now and then is never nothing for long, and still not an answer.
TEST(RedisConnection, ATrickleIsNoAnswer) {
  std::atomic<bool> ended{false};
  const TestPort port([&](int connection) {
    if (::send(connection, "$100000\r\n", 9, MSG_NOSIGNAL) < 0) return;
    while (!ended && ::send(connection, "x", 1, MSG_NOSIGNAL) == 1)
      std::this_thread::sleep_for(2ms);
  });
  RedisConnection connection(port.address(), Clock::now() + 5s);
  EXPECT_EQ(code_of([&] {
              connection.ask(std::vector<Command>(1, {"GET", "key"}), Clock::now() + 50ms);
            }),
            Code::kDeadlineExceeded);
  ended = true;
}

TEST(RedisConnection, AFloodIsCutOff) {
  const std::string much(1 << 20, 'x');
  const TestPort port([&](int connection) {
    if (::send(connection, "$500000000\r\n", 12, MSG_NOSIGNAL) < 0) return;
    while (::send(connection, much.data(), much.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  Code code = Code::kOk;
  {
    RedisConnection connection(port.address(), Clock::now() + 5s);
    code = code_of(
        [&] { connection.ask(std::vector<Command>(1, {"GET", "key"}), Clock::now() + 60s); });
  }
  EXPECT_EQ(code, Code::kDataLoss);
}

TEST(RedisConnection, ALostConnectionIsAnError) {
  std::signal(SIGPIPE, SIG_IGN);
  TestRedis redis;
  RedisConnection connection(redis.address(), Clock::now() + 5s);
  redis.kill();
  EXPECT_EQ(
      code_of([&] { connection.ask(std::vector<Command>(1, {"GET", "key"}), Clock::now() + 5s); }),
      Code::kUnavailable);
}

}  // namespace
}  // namespace baozi::redis
