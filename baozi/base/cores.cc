#include "baozi/base/cores.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

namespace baozi {
namespace {

namespace fs = std::filesystem;

// "" where there is none.
std::string text_of(const fs::path& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// The number that the text begins with, which is cut off it with what space follows.
std::optional<std::int64_t> take_number(std::string_view& text) noexcept {
  std::int64_t number = 0;
  const std::from_chars_result read =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
  text.remove_prefix(std::min(text.find_first_not_of(" \t\n"), text.size()));
  return number;
}

// The group's path in version 2 ("0::/a/b"), or in version 1 of the controller cpu
// ("4:cpu,cpuacct:/a/b"); "" where there is none.
std::string_view group_of(std::string_view self, bool version_2) {
  while (!self.empty()) {
    const std::string_view line = self.substr(0, self.find('\n'));
    self.remove_prefix(std::min(line.size() + 1, self.size()));
    const std::size_t first = line.find(':');
    const std::size_t second = first == line.npos ? first : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string controllers =
        "," + std::string(line.substr(first + 1, second - first - 1)) + ",";
    const bool wanted = version_2 ? line.substr(0, first) == "0" && controllers == ",,"
                                  : controllers.find(",cpu,") != std::string::npos;
    if (wanted) return line.substr(second + 1);
  }
  return {};
}

std::optional<double> quota_at(const fs::path& folder, bool version_2) {
  if (version_2) return parse_cpu_max(text_of(folder / "cpu.max"));
  const std::string quota = text_of(folder / "cpu.cfs_quota_us");
  return quota.empty() ? std::nullopt
                       : parse_cpu_max(quota + " " + text_of(folder / "cpu.cfs_period_us"));
}

// In a container the group's path may be the host's, of which only the end is seen here: so the
// mount's root counts, too.
std::optional<double> least_quota(const fs::path& mount, std::string_view group, bool version_2) {
  std::optional<double> least = quota_at(mount, version_2);
  fs::path folder = mount;
  for (const fs::path& part : fs::path(group).relative_path()) {
    if (part == "..") break;
    folder /= part;
    const std::optional<double> here = quota_at(folder, version_2);
    if (here) least = std::min(least.value_or(*here), *here);
  }
  return least;
}

int affine_cores() noexcept {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(std::thread::hardware_concurrency());  // more than CPU_SETSIZE cores
}

}  // namespace

std::optional<double> parse_cpu_max(std::string_view text) noexcept {
  const std::optional<std::int64_t> quota = take_number(text);
  if (!quota || *quota <= 0) return std::nullopt;  // "max", or -1 in version 1
  const std::optional<std::int64_t> period = take_number(text);
  if (!period || *period <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::optional<double> cpu_quota(const fs::path& groups, std::string_view self) {
  std::optional<double> least = least_quota(groups, group_of(self, true), true);
  for (const char* const mount : {"cpu", "cpu,cpuacct"}) {
    const std::optional<double> old = least_quota(groups / mount, group_of(self, false), false);
    if (old) least = std::min(least.value_or(*old), *old);
  }
  return least;
}

int usable_cores() {
  static const int cores = [] {
    const int affine = std::max(1, affine_cores());
    const std::optional<double> quota = cpu_quota("/sys/fs/cgroup", text_of("/proc/self/cgroup"));
    // A part of a core is a thread: less would leave it unused.
    return quota ? std::clamp(static_cast<int>(std::ceil(std::min(*quota, 1e6))), 1, affine)
                 : affine;
  }();
  return cores;
}

}  // namespace baozi
