// TestClient: a blocking socket with a time limit on every step, that says exactly the bytes a test
// wants said.
//
// Thread safety: none.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace baozi::net {

struct TestAnswer {
  int status = 0;  // 0: the connection was closed first
  std::string head;
  std::string body;

  bool has(std::string_view line) const { return head.find(line) != std::string::npos; }
};

class TestClient {
 public:
  explicit TestClient(std::uint16_t port, int receive_buffer = 0)
      : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (socket_ < 0) throw std::runtime_error("socket");
    if (receive_buffer != 0)
      setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    const timeval limit{20, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      close();
      throw std::runtime_error("connect");
    }
  }
  TestClient(TestClient&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), early_(std::move(other.early_)) {}
  TestClient& operator=(TestClient&&) = delete;
  ~TestClient() { close(); }

  // Whether all was taken.
  bool say(std::string_view text) {
    while (!text.empty()) {
      const ssize_t count = send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }

  TestAnswer hear(bool head_only = false) {
    TestAnswer answer;
    std::size_t end = 0;
    while ((end = early_.find("\r\n\r\n")) == std::string::npos) {
      if (!read_more()) return answer;
    }
    answer.head = early_.substr(0, end + 4);
    early_.erase(0, end + 4);
    answer.status = std::atoi(answer.head.c_str() + 9);
    const std::size_t field = answer.head.find("Content-Length: ");
    if (head_only || field == std::string::npos) return answer;
    const auto length = static_cast<std::size_t>(std::atoll(answer.head.c_str() + field + 16));
    while (early_.size() < length) {
      if (!read_more()) return {};
    }
    answer.body = early_.substr(0, length);
    early_.erase(0, length);
    return answer;
  }

  // Whether the server has closed its side, with nothing more said.
  bool hears_end() { return early_.empty() && !read_more(); }

  void end_sending() { shutdown(socket_, SHUT_WR); }
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

 private:
  bool read_more() {
    char bytes[64 << 10];
    const ssize_t count = recv(socket_, bytes, sizeof bytes, 0);
    if (count <= 0) return false;
    early_.append(bytes, static_cast<std::size_t>(count));
    return true;
  }

  int socket_;
  std::string early_;
};

}  // namespace baozi::net
