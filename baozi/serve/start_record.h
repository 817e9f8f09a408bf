// StartRecord: what is remembered of a server from one start to the next, in a small file: how much
// each model was used, for the order of loading, and how long it took to load and what memory it
// takes, for the estimates.
//
//   StartRecord record(default_start_record(config.file));
//   double uses = record.uses("resnet");
//   record.used("resnet", 120);
//   record.save();
//
// Uses decay by half a day by day, so that yesterday's favourite does not go first for ever. A file
// that cannot be read is as good as none. Thread safety: all methods; save() blocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "baozi/base/clock.h"

namespace baozi::serve {

class StartRecord {
 public:
  using SystemTime = std::chrono::sys_seconds;

  // Reads the file. "": nothing is remembered.
  explicit StartRecord(std::filesystem::path file, SystemTime now = system_now());

  double uses(std::string_view name) const;
  Duration load_time(std::string_view name) const;  // zero: nobody knows
  std::size_t bytes(std::string_view name) const;   // of the memory; 0: nobody knows

  void used(std::string_view name, std::uint64_t times);
  void loaded(std::string_view name, Duration took, std::size_t bytes);
  // Replaces the file in one step. Errors: as replace_file.
  void save(SystemTime now = system_now());

  static SystemTime system_now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  }

 private:
  struct Model {
    double uses = 0;
    Duration load{};
    std::size_t bytes = 0;
  };

  void decay(SystemTime now);
  void read(const std::string& text);

  const std::filesystem::path file_;
  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::map<std::string, Model, std::less<>> models_;
  SystemTime at_{};  // for which the uses are right
};

// A file for this config in the user's state folder ($XDG_STATE_HOME, else ~/.local/state); empty
// without either.
std::filesystem::path default_start_record(const std::filesystem::path& config);

}  // namespace baozi::serve
