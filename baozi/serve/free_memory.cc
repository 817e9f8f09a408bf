#include "baozi/serve/free_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace baozi::serve {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

// The number behind `word` in a file of words and numbers.
std::optional<std::uint64_t> number_of(const fs::path& file, const std::string& word) {
  std::ifstream stream(file);
  for (std::string name; stream >> name;) {
    std::uint64_t number = 0;
    if (name == word && stream >> number) return number;
    stream.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return std::nullopt;
}

// Of a file that is one number; "max", as of one that is not there, is none.
std::optional<std::uint64_t> only_number(const fs::path& file) {
  std::ifstream stream(file);
  std::uint64_t number = 0;
  if (stream >> number) return number;
  return std::nullopt;
}

std::uint64_t left_in(const fs::path& group) {
  const std::optional<std::uint64_t> most = only_number(group / "memory.max");
  const std::optional<std::uint64_t> now = only_number(group / "memory.current");
  if (!most || !now) return kUnlimited;
  const std::uint64_t cached = number_of(group / "memory.stat", "file").value_or(0);
  const std::uint64_t used = *now - std::min(*now, cached);
  return *most - std::min(*most, used);
}

// Of control groups, version 2: "0::/path" in /proc/self/cgroup.
std::uint64_t left_by_groups(const fs::path& proc, const fs::path& groups) {
  std::ifstream stream(proc / "self/cgroup");
  std::uint64_t left = left_in(groups);
  for (std::string line; std::getline(stream, line);) {
    if (!line.starts_with("0::/")) continue;
    fs::path group = groups;
    for (const fs::path& part : fs::path(line.substr(4))) {
      group /= part;
      left = std::min(left, left_in(group));
    }
  }
  return left;
}

}  // namespace

std::optional<std::uint64_t> free_memory() { return free_memory("/proc", "/sys/fs/cgroup"); }

std::optional<std::uint64_t> free_memory(const fs::path& proc, const fs::path& groups) {
  const std::uint64_t system =
      number_of(proc / "meminfo", "MemAvailable:").value_or(kUnlimited >> 10) << 10;
  const std::uint64_t left = std::min(system, left_by_groups(proc, groups));
  if (left >= kUnlimited >> 10 << 10) return std::nullopt;
  return left;
}

}  // namespace baozi::serve
