#include "baozi/engine/file_stamp.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "baozi/base/error.h"
#include "baozi/engine/descriptor.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 256 << 10;  // stays in the processor's cache while it is hashed
// Clocks of file systems tick every few milliseconds (the kernel's tick); some old ones and
// servers count in seconds.
constexpr std::int64_t kFineTickNs = 50'000'000;
constexpr std::int64_t kCoarseTickNs = 2'000'000'000;

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

bool regular(const fs::path& file, struct stat& status) {
  return ::stat(file.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

std::string digits(const XXH128_hash_t& hash) {
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace

std::optional<std::string> file_stamp(const fs::path& file) {
  struct stat status{};
  if (!regular(file, status)) return std::nullopt;
  return fmt::format("{}.{}.{}.{}.{}", status.st_dev, status.st_ino, status.st_size,
                     nanoseconds(status.st_mtim), nanoseconds(status.st_ctim));
}

bool changed_just_now(const fs::path& file) {
  return changed_since(file, std::chrono::system_clock::now());
}

bool changed_since(const fs::path& file, std::chrono::system_clock::time_point then) {
  struct stat status{};
  if (!regular(file, status)) return true;
  const std::int64_t changed = nanoseconds(status.st_ctim);
  const std::int64_t tick = changed % 1'000'000 != 0 ? kFineTickNs : kCoarseTickNs;
  return then.time_since_epoch() / std::chrono::nanoseconds(1) - changed < tick;
}

// Read, not mapped: a file that is cut off meanwhile must not end the process.
Checksum checksum_of(const fs::path& file, const StopToken& stop) {
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor) {
    throw Error(errno == ENOENT ? Code::kNotFound : Code::kUnavailable,
                fmt::format("{} cannot be read: {}", file.string(), std::strerror(errno)));
  }
  const auto piece = std::make_unique_for_overwrite<std::byte[]>(kPiece);
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  std::uint64_t size = 0;
  for (;;) {
    throw_if_stopped(stop);
    const ssize_t got = ::read(descriptor.get(), piece.get(), kPiece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw Error(Code::kUnavailable,
                  fmt::format("{} cannot be read: {}", file.string(), std::strerror(errno)));
    }
    if (got == 0) break;
    XXH3_128bits_update(&state, piece.get(), static_cast<std::size_t>(got));
    size += static_cast<std::uint64_t>(got);
  }
  return {digits(XXH3_128bits_digest(&state)), size};
}

std::string combined(const std::string& first, const std::string& second) {
  const std::string both = first + second;
  return digits(XXH3_128bits(both.data(), both.size()));
}

}  // namespace baozi::engine
