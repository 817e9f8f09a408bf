#include "baozi/net/connection.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "baozi/base/error.h"

namespace baozi::net {

DisconnectWatch::DisconnectWatch() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  if (epoll_ < 0)
    throw Error(Code::kUnavailable, fmt::format("epoll_create1: {}", std::strerror(errno)));
}

DisconnectWatch::~DisconnectWatch() { close(epoll_); }

void DisconnectWatch::add(Connection& connection) noexcept {
  epoll_event event{};
  event.events = EPOLLRDHUP | EPOLLET;
  event.data.ptr = &connection;
  connection.watched =
      epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.socket.native_handle(), &event) == 0;
}

void DisconnectWatch::poll(std::vector<Connection*>& out) {
  constexpr int kEvents = 256;
  epoll_event events[kEvents];
  int count = kEvents;
  while (count == kEvents) {
    count = epoll_wait(epoll_, events, kEvents, 0);
    for (int i = 0; i < count; ++i) {
      auto* connection = static_cast<Connection*>(events[i].data.ptr);
      connection->gone = true;
      out.push_back(connection);
    }
  }
}

GatheredWrite::GatheredWrite(std::string_view head, const HttpResponse& response, bool with_body) {
  const std::size_t parts = 1 + (with_body ? 1 + response.segments.size() : 0);
  if (parts > kInline) {
    many_.resize(parts);
    next_ = many_.data();
  }
  const auto add = [this](const void* data, std::size_t size) {
    if (size != 0) next_[left_++] = {const_cast<void*>(data), size};
  };
  add(head.data(), head.size());
  if (!with_body) return;
  add(response.body.data(), response.body.size());
  for (const Bytes& segment : response.segments) add(segment.data(), segment.size());
}

GatheredWrite::Progress GatheredWrite::send(int socket) noexcept {
  moved_ = false;
  while (left_ != 0) {
    msghdr message{};
    message.msg_iov = next_;
    message.msg_iovlen = std::min(left_, kGatherMax);
    const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? Progress::kBlocked : Progress::kFailed;
    }
    moved_ = true;
    advance(static_cast<std::size_t>(sent));
  }
  return Progress::kDone;
}

void GatheredWrite::own_head() {
  if (!head_pending_) return;
  head_.assign(static_cast<const char*>(next_->iov_base), next_->iov_len);
  next_->iov_base = head_.data();
}

void GatheredWrite::advance(std::size_t count) noexcept {
  while (count != 0 && count >= next_->iov_len) {
    count -= next_->iov_len;
    ++next_;
    --left_;
    head_pending_ = false;
  }
  if (count == 0) return;
  next_->iov_base = static_cast<char*>(next_->iov_base) + count;
  next_->iov_len -= count;
}

}  // namespace baozi::net
