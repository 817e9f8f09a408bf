// TestRedis: a real redis-server of the test's own, on a free port of the loopback, without files.
// TestPort: a listener that says what the test tells it to.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "baozi/redis/redis_connection.h"

namespace baozi::redis {

// A socket that listens on a free port of the loopback.
inline int listen_anywhere(std::uint16_t& port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener, 16) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  port = ntohs(address.sin_port);
  return listener;
}

class TestRedis {
 public:
  explicit TestRedis(std::vector<std::string> arguments = {}) : arguments_(std::move(arguments)) {
    ::close(listen_anywhere(port_));
    start();
  }
  ~TestRedis() { kill(); }
  TestRedis(const TestRedis&) = delete;
  TestRedis& operator=(const TestRedis&) = delete;

  // Until it answers. Again on the same port after kill().
  void start() {
    std::vector<std::string> words = {
        "redis-server", "--port", std::to_string(port_), "--bind", "127.0.0.1", "--save", "",
        "--appendonly", "no",     "--loglevel",          "warning"};
    words.insert(words.end(), arguments_.begin(), arguments_.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    process_ = ::fork();
    if (process_ == 0) {
      ::close(STDOUT_FILENO);
      ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    for (int attempt = 0; attempt < 400; ++attempt) {
      try {
        RedisConnection probe({.host = "127.0.0.1", .port = port_}, Clock::now() + kPatience);
        return;
      } catch (const std::exception&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(25));
      }
      if (::waitpid(process_, nullptr, WNOHANG) == process_) break;
    }
    throw std::runtime_error("redis-server does not start; is Debian's redis-server installed?");
  }
  void kill() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = 0;
  }
  void hang() const { ::kill(process_, SIGSTOP); }
  void go_on() const { ::kill(process_, SIGCONT); }

  std::uint16_t port() const noexcept { return port_; }
  Address address() const { return {.host = "127.0.0.1", .port = port_}; }

  // One command, as redis-cli would.
  Reply ask(const Command& command) const {
    RedisConnection connection(address(), Clock::now() + kPatience);
    return connection.ask(std::vector<Command>(1, command), Clock::now() + kPatience).front();
  }

 private:
  static constexpr Duration kPatience = std::chrono::seconds(5);

  const std::vector<std::string> arguments_;
  std::uint16_t port_ = 0;
  pid_t process_ = 0;
};

// Accepts, and runs `talk` with each connection's descriptor, one after the other.
class TestPort {
 public:
  explicit TestPort(std::function<void(int descriptor)> talk)
      : listener_(listen_anywhere(port_)), thread_([this, talk = std::move(talk)] {
          while (!ending_) {
            pollfd wait{listener_, POLLIN, 0};
            if (::poll(&wait, 1, 20) <= 0) continue;
            const int connection = ::accept(listener_, nullptr, nullptr);
            if (connection < 0) continue;
            ++accepted_;
            talk(connection);
            ::close(connection);
          }
        }) {}
  ~TestPort() {
    ending_ = true;
    thread_.join();
    ::close(listener_);
  }
  TestPort(const TestPort&) = delete;
  TestPort& operator=(const TestPort&) = delete;

  Address address() const { return {.host = "127.0.0.1", .port = port_}; }
  int accepted() const noexcept { return accepted_; }

 private:
  std::uint16_t port_ = 0;
  std::atomic<bool> ending_{false};
  std::atomic<int> accepted_{0};
  const int listener_;
  std::thread thread_;
};

}  // namespace baozi::redis
