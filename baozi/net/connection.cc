#include "baozi/net/connection.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

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

}  // namespace baozi::net
