// UpstreamFile: the file that nginx includes, changed so that nginx never runs, and never would be
// started, with one that its own test refuses.
//
// The old text is put aside in FILE.before, the new one takes its place, nginx tests its whole
// configuration, and is told to reload. When the test fails the old text is put back. FILE.before
// is removed when all is done: where it exists, somebody was killed in the middle, and it holds
// what was in force.
//
//   UpstreamFile file("/etc/nginx/baozi.conf", {.test = split_command("nginx -t"), …});
//   const auto done = file.change(text);
//
// Thread safety: none; one thread at a time. It blocks. Not meant for two processes at one file.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/clock.h"

namespace baozi::keeper {

class UpstreamFile {
 public:
  struct Options {
    std::vector<std::string> test;    // the words of a command: 0, when nginx can take the file
    std::vector<std::string> reload;  // makes nginx take it
    Duration limit = std::chrono::seconds(10);  // for each of the two
  };
  enum class Result : std::uint8_t {
    kDone,
    kRefused,     // the old text is in its place again, and in force
    kNotReloaded  // the new text is in its place and passed the test; nobody knows what is in force
  };
  struct Change {
    Result result = Result::kRefused;
    std::string why;  // of what is not done
  };

  // Throws Error(kInvalidArgument) for a folder.
  UpstreamFile(std::filesystem::path path, Options options);

  // What nginx was last made to take, as far as the files say: nothing when there is no file, or
  // when somebody was killed in the middle of a change.
  std::optional<std::string> in_force() const;
  // Whether the file holds `text`; false, too, when it cannot be read.
  bool holds(std::string_view text) const noexcept;

  // Where there was no file before, an empty one is left when the test fails. Throws Error, as
  // replace_file does, when a file cannot be written.
  Change change(const std::string& text);

 private:
  std::filesystem::path path_;
  std::filesystem::path before_;
  Options options_;
};

}  // namespace baozi::keeper
