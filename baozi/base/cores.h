// How many cores this process may use: those that it may run on (sched_setaffinity, cpusets), and
// no more than the CPU quota of its control group, as containers have one. More threads than that
// would be stopped in the middle of their work until the next period begins.
//
//   ThreadPool pool(usable_cores(), "cpu");
//
// Sources: sched_getaffinity(2); the kernel's cgroup-v2.rst, "cpu.max", and sched-bwc.rst,
// "cpu.cfs_quota_us". Thread safety: free functions.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

namespace baozi {

// At least 1. Read when it is asked for the first time: a quota that changes later is not seen.
int usable_cores();

// What usable_cores() is made of; pure but for the files.

// Cores, of the text of a cpu.max: "150000 100000" is 1.5, "max 100000" nothing. What does not
// make sense is nothing, too.
std::optional<double> parse_cpu_max(std::string_view text) noexcept;

// The least quota of the control group and of those above it. `groups` is where control groups are
// mounted, /sys/fs/cgroup; `self` the text of /proc/self/cgroup.
std::optional<double> cpu_quota(const std::filesystem::path& groups, std::string_view self);

}  // namespace baozi
