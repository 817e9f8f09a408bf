// ClientConnection: one keep-alive connection that says a prepared request and recognises the end
// of each answer.
//
// Thread safety: none.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace baozi::load {

using Clock = std::chrono::steady_clock;

struct Target {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;
  std::string path = "/";
};

// "http://127.0.0.1:8000/path"; throws std::runtime_error for anything else.
Target parse_url(const std::string& url);

class ClientConnection {
 public:
  enum class Event : std::uint8_t { kNothing, kAnswer, kClosed };

  // Connects, blocking; throws std::runtime_error.
  explicit ClientConnection(const Target& target);
  ~ClientConnection();
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;

  int descriptor() const noexcept { return socket_; }

  // Starts to send `request`, which must stay until the answer.
  void ask(std::string_view request);
  bool wants_to_write() const noexcept { return !unsent_.empty(); }
  // After the descriptor was reported ready.
  Event advance();

  int status() const noexcept { return status_; }  // of the last answer
  Clock::time_point asked_at() const noexcept { return asked_at_; }

 private:
  void write_some();
  Event read_some();

  int socket_ = -1;
  std::string_view unsent_;
  std::string head_;  // of the answer, until it is whole
  std::size_t body_left_ = 0;
  bool in_body_ = false;
  int status_ = 0;
  Clock::time_point asked_at_;
};

}  // namespace baozi::load
