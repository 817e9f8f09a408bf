// GatheredWrite: a head, a body and segments on their way out of one socket, with as few system
// calls as it allows and no copy. ChunkLine: what stands before them when they are a chunk.
//
// Thread safety: none; the thread of the socket.
//
//   GatheredWrite write(head, response, true);
//   while (write.send(socket) == GatheredWrite::Progress::kBlocked) …wait until it takes more…
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/net/http.h"

namespace baozi::net {

// The line before a chunk: its size, in hexadecimal (RFC 9112, section 7.1). Empty for no bytes, as
// a chunk without any would end the body.
class ChunkLine {
 public:
  explicit ChunkLine(std::size_t bytes) noexcept;
  std::string_view text() const noexcept { return {text_, size_}; }

 private:
  char text_[2 * sizeof(std::size_t) + 2];
  std::size_t size_ = 0;
};

class GatheredWrite {
 public:
  enum class Progress : std::uint8_t { kDone, kBlocked, kFailed };

  // `head` must stay until the first send(), which keeps what the socket did not take of it; what
  // the others point to until the write is over.
  GatheredWrite(std::string_view head, const HttpResponse& response, bool with_body);
  // The body and segments as one chunk, whose line is ChunkLine(response.content_length()).
  GatheredWrite(std::string_view head, const ChunkLine& line, const HttpResponse& response);
  GatheredWrite(const GatheredWrite&) = delete;
  GatheredWrite& operator=(const GatheredWrite&) = delete;
  // Sends what the socket takes now.
  Progress send(int socket);
  bool moved() const noexcept { return moved_; }  // whether the last send() moved anything

 private:
  void reserve(std::size_t parts);
  void own_head();
  void add(const void* data, std::size_t size) noexcept;
  void add_body(const HttpResponse& response) noexcept;
  void advance(std::size_t count) noexcept;

  static constexpr std::size_t kInline = 4;
  static constexpr std::size_t kGatherMax = 64;
  iovec inline_[kInline];
  std::vector<iovec> many_;
  iovec* next_ = inline_;
  std::size_t left_ = 0;
  bool head_pending_;  // what is next is a part of what was given as `head`
  bool moved_ = false;
  std::string head_;
};

}  // namespace baozi::net
