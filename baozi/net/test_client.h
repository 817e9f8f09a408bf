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

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "baozi/base/clock.h"

namespace baozi::net {

struct TestAnswer {
  int status = 0;  // 0: the connection was closed first
  std::string head;
  std::string body;

  bool has(std::string_view line) const { return head.find(line) != std::string::npos; }
};

// One chunk of a chunked body.
struct TestPiece {
  bool came = false;  // false: the connection was closed first
  std::string data;   // empty: the end of the body
  Time at{};
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
    if (!hear_through("\r\n\r\n", answer.head)) return answer;
    answer.status = std::atoi(answer.head.c_str() + 9);
    const std::size_t field = answer.head.find("Content-Length: ");
    if (head_only || field == std::string::npos) return answer;
    const auto length = static_cast<std::size_t>(std::atoll(answer.head.c_str() + field + 16));
    if (!hear_bytes(length, answer.body)) return {};
    return answer;
  }

  // Up to and with its end; empty: the connection was closed first.
  std::string hear_line() {
    std::string line;
    return hear_through("\n", line) ? line : "";
  }

  // The next chunk behind a head that said `Transfer-Encoding: chunked`.
  TestPiece hear_piece() {
    TestPiece piece;
    std::string line;
    std::string end;
    if (!hear_through("\r\n", line)) return piece;
    if (!hear_bytes(std::stoull(line, nullptr, 16), piece.data)) return piece;
    if (!hear_bytes(2, end)) return piece;
    if (end != "\r\n") throw std::runtime_error("a chunk's end is missing");
    piece.came = true;
    piece.at = Clock::now();
    return piece;
  }

  // All that comes until the connection ends.
  std::string hear_rest() {
    while (read_more()) {
    }
    return std::exchange(early_, {});
  }
  // Reads something and throws it away; false at the connection's end.
  bool skip_some() {
    early_.clear();
    return read_more();
  }
  // Whether the connection ended by a reset.
  bool was_reset() const { return was_reset_; }

  // Whether the server has closed its side, with nothing more said.
  bool hears_end() { return early_.empty() && !read_more(); }

  void end_sending() { shutdown(socket_, SHUT_WR); }
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

 private:
  // Whether it came.
  bool hear_through(std::string_view end, std::string& out) {
    std::size_t at = 0;
    while ((at = early_.find(end)) == std::string::npos) {
      if (!read_more()) return false;
    }
    take(at + end.size(), out);
    return true;
  }
  bool hear_bytes(std::size_t count, std::string& out) {
    while (early_.size() < count) {
      if (!read_more()) return false;
    }
    take(count, out);
    return true;
  }
  void take(std::size_t count, std::string& out) {
    out = early_.substr(0, count);
    early_.erase(0, count);
  }
  bool read_more() {
    char bytes[64 << 10];
    const ssize_t count = recv(socket_, bytes, sizeof bytes, 0);
    was_reset_ = count < 0 && errno == ECONNRESET;
    if (count <= 0) return false;
    early_.append(bytes, static_cast<std::size_t>(count));
    return true;
  }

  int socket_;
  bool was_reset_ = false;
  std::string early_;
};

}  // namespace baozi::net
