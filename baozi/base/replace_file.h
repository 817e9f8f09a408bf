// replace_file: a file that appears whole, or stays what it was. It is written beside its place,
// flushed to the disk and renamed; so a crash, a full disk or another process that writes it at the
// same time leaves nothing half written.
//
//   replace_file("/var/lib/bun/starts.yaml", {"version: 1\n", text});
//
// Thread safety: free functions; two that write one file at the same time: one of them lasts. They
// block.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <string_view>

namespace baozi {

struct ReplaceOptions {
  mode_t mode = 0600;  // of the file: what is kept may be what clients sent
  bool flush = true;   // false: a crash of the system may leave it empty or garbled
};

// The pieces, one behind the other. Makes the folder where there is none. Errors name the path and
// say what to do: kResourceExhausted (the disk is full), kPermissionDenied, kUnavailable.
void replace_file(const std::filesystem::path& path, std::initializer_list<std::string_view> pieces,
                  const ReplaceOptions& options = {});

// Removes from the folder what processes that were killed within replace_file left there: this
// user's files "NAME.PID-COUNT.new" that nobody has written to for an hour, which no writer takes.
// How many there were; what cannot be removed is left.
std::size_t remove_leftovers(const std::filesystem::path& folder) noexcept;

// Throws the Error for what errno said when `path` was to be written, as replace_file does.
[[noreturn]] void throw_not_written(const std::filesystem::path& path, int why);

}  // namespace baozi
