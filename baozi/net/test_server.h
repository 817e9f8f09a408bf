// ServerTest: a test with an HttpServer on a thread of its own.
//
// Thread safety: none; the test's thread.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>

#include "baozi/coro/asio/asio_executor.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/net/http_server.h"
#include "baozi/net/test_client.h"

namespace baozi::net {

class ServerTest : public ::testing::Test {
 protected:
  HttpServerOptions options;

  // `handler` lives until stop_server().
  void start_server(HttpHandler& handler) {
    io_ = std::make_unique<AsioThread>();
    server_ = std::make_unique<HttpServer>(*io_, options, handler);
    runner_ = std::thread([this] { sync_wait(server_->run().on(*io_)); });
  }
  void stop_server() {
    if (server_ == nullptr) return;
    drain(std::chrono::seconds(5));
    if (runner_.joinable()) runner_.join();
    server_.reset();
    io_.reset();
  }
  TestClient connect() { return TestClient(server_->port()); }
  void drain(Duration patience) { sync_wait(server_->drain(Clock::now() + patience)); }
  HttpServerStats stats() { return sync_wait(read_stats(server_.get()).on(*io_)); }

  static bool eventually(const std::function<bool()>& condition,
                         Duration limit = std::chrono::seconds(10)) {
    const Time end = Clock::now() + limit;
    while (!condition()) {
      if (Clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  std::unique_ptr<AsioThread> io_;
  std::unique_ptr<HttpServer> server_;
  std::thread runner_;

 private:
  static Task<HttpServerStats> read_stats(HttpServer* server) { co_return server->stats(); }
};

}  // namespace baozi::net
