#include "baozi/net/gathered_write.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

namespace baozi::net {

ChunkLine::ChunkLine(std::size_t bytes) noexcept {
  if (bytes == 0) return;
  char* end = std::to_chars(text_, text_ + sizeof text_ - 2, bytes, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  size_ = static_cast<std::size_t>(end - text_);
}

GatheredWrite::GatheredWrite(std::string_view head, const HttpResponse& response, bool with_body)
    : head_pending_(!head.empty()) {
  reserve(1 + (with_body ? 1 + response.segments.size() : 0));
  add(head.data(), head.size());
  if (with_body) add_body(response);
}

GatheredWrite::GatheredWrite(std::string_view head, const ChunkLine& line,
                             const HttpResponse& response)
    : head_pending_(!head.empty()) {
  reserve(4 + response.segments.size());
  add(head.data(), head.size());
  if (line.text().empty()) return;
  add(line.text().data(), line.text().size());
  add_body(response);
  add("\r\n", 2);
}

void GatheredWrite::reserve(std::size_t parts) {
  if (parts <= kInline) return;
  many_.resize(parts);
  next_ = many_.data();
}

void GatheredWrite::add(const void* data, std::size_t size) noexcept {
  if (size != 0) next_[left_++] = {const_cast<void*>(data), size};
}

void GatheredWrite::add_body(const HttpResponse& response) noexcept {
  add(response.body.data(), response.body.size());
  for (const Bytes& segment : response.segments) add(segment.data(), segment.size());
}

GatheredWrite::Progress GatheredWrite::send(int socket) {
  moved_ = false;
  while (left_ != 0) {
    msghdr message{};
    message.msg_iov = next_;
    message.msg_iovlen = std::min(left_, kGatherMax);
    const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return Progress::kFailed;
      own_head();
      return Progress::kBlocked;
    }
    moved_ = true;
    advance(static_cast<std::size_t>(sent));
  }
  return Progress::kDone;
}

void GatheredWrite::own_head() {
  if (!std::exchange(head_pending_, false)) return;
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
