#include "tools/bench/load/server_process.h"

#include <unistd.h>

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace baozi::load {
namespace {

std::string read_file(int pid, const char* name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  if (text.str().empty())
    throw std::runtime_error("no process " + std::to_string(pid) + " to look at");
  return text.str();
}

}  // namespace

std::uint64_t cpu_us(int pid) {
  if (pid == 0) return 0;
  const std::string text = read_file(pid, "stat");
  // proc(5): behind the command's closing parenthesis come state and 10 numbers, then utime and
  // stime in clock ticks.
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  std::uint64_t user = 0;
  std::uint64_t system = 0;
  fields >> user >> system;
  return (user + system) * 1'000'000 / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
}

std::uint64_t resident_bytes(int pid) {
  if (pid == 0) return 0;
  std::istringstream fields(read_file(pid, "statm"));
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  fields >> total >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace baozi::load
