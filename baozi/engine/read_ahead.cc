#include "baozi/engine/read_ahead.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "baozi/coro/trace.h"
#include "baozi/engine/descriptor.h"

namespace baozi::engine {
namespace {

// The system cuts one request down to what the disk takes at once, which is this or more.
constexpr std::uint64_t kChunk = 128 << 10;
constexpr std::uint64_t kBlock = 1 << 20;  // what is there at its end was read as a whole
constexpr std::uint64_t kAhead = 4 << 20;  // asked for, and not there yet

// One byte, without waiting for the disk: whether it is there.
bool is_there(int file, std::uint64_t at) noexcept {
  std::byte byte;
  const iovec into{&byte, 1};
  return ::preadv2(file, &into, 1, static_cast<off_t>(at), RWF_NOWAIT) >= 0;
}

// Waits until it is there.
void await(int file, std::uint64_t at) noexcept {
  std::byte byte;
  // What cannot be read is passed over.
  [[maybe_unused]] const ssize_t got = ::pread(file, &byte, 1, static_cast<off_t>(at));
}

}  // namespace

ReadAhead::ReadAhead(std::vector<File> files)
    : thread_([this, files = std::move(files)] {
        trace::set_thread_name("read ahead");
        run(files);
      }) {}

ReadAhead::~ReadAhead() {
  ending_.store(true, std::memory_order_relaxed);
  thread_.join();
}

void ReadAhead::run(const std::vector<File>& files) noexcept {
  for (const File& each : files) {
    const Descriptor file(::open(each.path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat facts{};
    if (!file || ::fstat(file.get(), &facts) != 0) continue;
    const auto size = static_cast<std::uint64_t>(facts.st_size);
    for (const ByteRange& range : each.ranges) {
      if (range.offset >= size) continue;
      read(file.get(), {range.offset, std::min(range.length, size - range.offset)});
    }
  }
}

void ReadAhead::read(int file, const ByteRange& range) noexcept {
  const std::uint64_t end = range.offset + range.length;
  for (std::uint64_t at = range.offset; at < end; at += kBlock) {
    if (ending_.load(std::memory_order_relaxed)) return;
    const std::uint64_t block_end = std::min(at + kBlock, end);
    if (is_there(file, block_end - 1)) continue;
    for (std::uint64_t chunk = at; chunk < block_end; chunk += kChunk)
      ::readahead(file, static_cast<off_t>(chunk), std::min(kChunk, block_end - chunk));
    if (block_end > range.offset + kAhead) await(file, block_end - kAhead - 1);
  }
}

}  // namespace baozi::engine
