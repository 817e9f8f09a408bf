// Whether a file is still the one that was looked at before, without reading it; and its content's
// checksum, by reading all of it.
//
// Thread safety: free functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "baozi/coro/stop.h"

namespace baozi::engine {

// Device, inode, size, and the times of the last change of content and of status, in nanoseconds.
// Whoever changes a file changes its status time, which no call can set back. Without spaces;
// nothing when there is no such regular file.
std::optional<std::string> file_stamp(const std::filesystem::path& file);

// Whether the file was changed so recently that another change could leave the same stamp, because
// the file system's clock ticks. Such a stamp must not be relied on.
bool changed_just_now(const std::filesystem::path& file);

// Whether the file was, or may have been, changed after `then`, by its time of change and the tick
// of its file system's clock; true when there is no such regular file.
bool changed_since(const std::filesystem::path& file, std::chrono::system_clock::time_point then);

struct Checksum {
  std::string digest;  // 32 digits: XXH3's 128 bits
  std::uint64_t size = 0;
};
// Errors: kNotFound; kUnavailable when it cannot be read; `stop`'s.
Checksum checksum_of(const std::filesystem::path& file, const StopToken& stop);

// The checksum of several.
std::string combined(const std::string& first, const std::string& second);

}  // namespace baozi::engine
