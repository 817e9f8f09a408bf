// A command of the operator's, run without a shell and within a time.
//
//   const Outcome outcome = run_command(split_command("nginx -t"), std::chrono::seconds(10));
//   if (!outcome.ok) log().error("{}", outcome.said);
//
// Thread safety: free functions. run_command blocks: call it on a lane.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/clock.h"

namespace baozi::keeper {

// The words of a command, split at spaces and tabs. There is no shell: a character that would mean
// something to one (quotes, |, $, …) is refused rather than handed on. Throws
// Error(kInvalidArgument).
std::vector<std::string> split_command(std::string_view text);

inline constexpr std::size_t kSaidBytesMax = 2000;

struct Outcome {
  bool ok = false;   // it ended with 0
  std::string said;  // the last of what it wrote, printable; for one that is not ok, why
};

// Runs it with nothing to read and waits for its end. One that takes longer than `limit` is killed,
// with what it started. Never throws but for lack of memory.
Outcome run_command(const std::vector<std::string>& words, Duration limit);

}  // namespace baozi::keeper
