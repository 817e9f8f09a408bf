#include "tools/bench/load/client_connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace baozi::load {
namespace {

constexpr std::size_t kHeadMax = 64 << 10;

std::size_t content_length(std::string_view head) {
  constexpr std::string_view kName = "content-length:";
  for (std::size_t line = head.find("\r\n"); line != std::string_view::npos;
       line = head.find("\r\n", line)) {
    line += 2;
    if (head.size() - line < kName.size() ||
        strncasecmp(head.data() + line, kName.data(), kName.size()) != 0)
      continue;
    return static_cast<std::size_t>(std::strtoull(head.data() + line + kName.size(), nullptr, 10));
  }
  throw std::runtime_error("an answer without Content-Length; this program counts bodies by it");
}

}  // namespace

Target parse_url(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  if (url.compare(0, kScheme.size(), kScheme) != 0)
    throw std::runtime_error("the URL must begin with http://");
  const std::size_t slash = std::min(url.find('/', kScheme.size()), url.size());
  const std::string authority = url.substr(kScheme.size(), slash - kScheme.size());
  const std::size_t colon = authority.rfind(':');
  Target target;
  target.host = authority.substr(0, colon);
  if (slash < url.size()) target.path = url.substr(slash);
  target.port = 80;
  if (colon != std::string::npos) {
    const char* const end = authority.data() + authority.size();
    const auto parsed = std::from_chars(authority.data() + colon + 1, end, target.port);
    if (parsed.ec != std::errc() || parsed.ptr != end)
      throw std::runtime_error("no port number in " + url);
  }
  return target;
}

ClientConnection::ClientConnection(const Target& target) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(target.host.c_str(), std::to_string(target.port).c_str(), &hints, &found) != 0) {
    throw std::runtime_error("cannot resolve " + target.host);
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> guard(found, &freeaddrinfo);
  socket_ = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0 || connect(socket_, found->ai_addr, found->ai_addrlen) != 0) {
    const std::string reason = std::strerror(errno);
    if (socket_ >= 0) close(socket_);
    throw std::runtime_error("cannot connect to " + target.host + ":" +
                             std::to_string(target.port) + ": " + reason);
  }
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

ClientConnection::~ClientConnection() { close(socket_); }

void ClientConnection::ask(std::string_view request) {
  unsent_ = request;
  head_.clear();
  in_body_ = false;
  asked_at_ = Clock::now();
  write_some();
}

void ClientConnection::write_some() {
  while (!unsent_.empty()) {
    const ssize_t count =
        send(socket_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count <= 0) return;  // full, or gone: reading will tell
    unsent_.remove_prefix(static_cast<std::size_t>(count));
  }
}

ClientConnection::Event ClientConnection::advance() {
  if (!unsent_.empty()) write_some();
  return read_some();
}

ClientConnection::Event ClientConnection::read_some() {
  static char bytes[256 << 10];
  while (true) {
    const ssize_t got = recv(socket_, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Event::kNothing;
    if (got <= 0) return Event::kClosed;
    auto count = static_cast<std::size_t>(got);
    if (!in_body_) {
      head_.append(bytes, count);
      const std::size_t end = head_.find("\r\n\r\n");
      if (end == std::string::npos) {
        if (head_.size() > kHeadMax) throw std::runtime_error("the head of an answer does not end");
        continue;
      }
      status_ = std::atoi(head_.c_str() + std::min<std::size_t>(9, head_.size()));
      body_left_ = content_length(std::string_view(head_).substr(0, end + 2));
      in_body_ = true;
      count = head_.size() - (end + 4);
    }
    if (count > body_left_) throw std::runtime_error("bytes behind the end of an answer");
    body_left_ -= count;
    if (body_left_ == 0) return Event::kAnswer;
  }
}

}  // namespace baozi::load
