#include "baozi/net/line_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/coro/asio/asio_executor.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/net/test_client.h"

namespace baozi::net {
namespace {

class Fixed final : public LineSource {
 public:
  std::string line() override { return "up ready 100%\n"; }
};

class LineServerTest : public ::testing::Test {
 protected:
  LineServerTest() { nursery_.spawn(server.run()); }
  ~LineServerTest() override {
    nursery_.stop();
    sync_wait(join(&nursery_));
  }

  std::string hear() { return TestClient(server.port()).hear_line(); }

  AsioThread io;
  Fixed source;
  LineServer server{io, {}, source};

 private:
  static Task<void> join(Nursery* nursery) {
    try {
      co_await nursery->join();
    } catch (const Error& error) {
      if (error.code() != Code::kCancelled) throw;
    }
  }
  Nursery nursery_{io};
};

TEST_F(LineServerTest, SaysItsLineToWhoeverConnects) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(hear(), "up ready 100%\n");
}

TEST_F(LineServerTest, GarbageDoesNotKeepTheLineFromComing) {
  TestClient client(server.port());
  client.say(std::string(3000, '\xff') + "GET / HTTP/1.1\r\n\r\n");
  const std::string line = client.hear_line();
  EXPECT_TRUE(line == "up ready 100%\n" ||
              line.empty());  // what came too late resets the connection
  EXPECT_EQ(hear(), "up ready 100%\n");
}

TEST_F(LineServerTest, SilentPeersByTheHundredKeepNobodyWaiting) {
  std::vector<TestClient> silent;
  for (int i = 0; i < 300; ++i) silent.emplace_back(server.port());
  EXPECT_EQ(hear(), "up ready 100%\n");
}

TEST_F(LineServerTest, AnAddressThatIsTakenIsSaid) {
  try {
    const LineServer second(io, {.port = server.port()}, source);
    FAIL() << "two listen on one port";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
  }
}

}  // namespace
}  // namespace baozi::net
