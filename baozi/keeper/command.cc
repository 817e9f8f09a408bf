#include "baozi/keeper/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>

#include "baozi/base/error.h"

extern char** environ;

namespace baozi::keeper {
namespace {

constexpr std::size_t kWordsMax = 64;
constexpr int kLookMilliseconds = 20;  // a command's end is noticed within

// What the child starts from: no file of ours, a group of its own (so that all of it can be
// killed), signals as they are by default.
class SpawnPlan {
 public:
  explicit SpawnPlan(int output) {
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
    ::posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    ::posix_spawnattr_init(&attributes);
    sigset_t signals;
    ::sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes, &signals);
    for (const int signal : {SIGPIPE, SIGINT, SIGTERM}) ::sigaddset(&signals, signal);
    ::posix_spawnattr_setsigdefault(&attributes, &signals);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
};

// Appends what is there to read, and keeps the last of it. `output` never blocks.
void read_some(int output, std::string& said) {
  char part[4096];
  for (;;) {
    const ssize_t count = ::read(output, part, sizeof part);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    said.append(part, static_cast<std::size_t>(count));
    if (said.size() > kSaidBytesMax) said.erase(0, said.size() - kSaidBytesMax);
  }
}

std::string printable(std::string said) {
  for (char& c : said)
    if ((static_cast<unsigned char>(c) < ' ' && c != '\n') || c == 0x7f) c = '?';
  while (!said.empty() && said.back() == '\n') said.pop_back();
  return said;
}

Outcome outcome_of(int status, std::string said, const std::string& name) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {true, printable(std::move(said))};
  const std::string how = WIFSIGNALED(status)
                              ? fmt::format("was killed by signal {}", WTERMSIG(status))
                              : fmt::format("ended with status {}", WEXITSTATUS(status));
  return {false, fmt::format("'{}' {}: {}", name, how, printable(std::move(said)))};
}

Outcome wait_for(pid_t child, int output, Time end, const std::string& name) {
  std::string said;
  for (;;) {
    pollfd ready{output, POLLIN, 0};
    ::poll(&ready, 1, kLookMilliseconds);
    // What it has started may keep the pipe open: its own end counts, not the pipe's.
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    read_some(output, said);
    if (ended == child) return outcome_of(status, std::move(said), name);
    if (Clock::now() < end) {
      // A pipe that has ended is always ready.
      if ((ready.revents & POLLHUP) != 0) ::usleep(kLookMilliseconds * 1000);
      continue;
    }
    ::kill(-child, SIGKILL);
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return {false,
            fmt::format("'{}' took too long and was killed: {}", name, printable(std::move(said)))};
  }
}

}  // namespace

std::vector<std::string> split_command(std::string_view text) {
  constexpr std::string_view kSpaces = " \t";
  for (const char c : text)
    if ((static_cast<unsigned char>(c) < ' ' && c != '\t') ||
        std::string_view("'\"\\|&;<>()$`*?~#").find(c) != std::string_view::npos)
      throw Error(Code::kInvalidArgument,
                  "a command is split at spaces and run without a shell: it cannot hold quotes or "
                  "other characters that mean something to one. Put it in a script and name that");
  std::vector<std::string> words;
  std::size_t at = text.find_first_not_of(kSpaces);
  while (at != std::string_view::npos) {
    const std::size_t end = std::min(text.find_first_of(kSpaces, at), text.size());
    words.emplace_back(text.substr(at, end - at));
    at = text.find_first_not_of(kSpaces, end);
  }
  if (words.empty() || words.size() > kWordsMax)
    throw Error(Code::kInvalidArgument,
                fmt::format("a command has 1 to {} words, such as: nginx -t", kWordsMax));
  return words;
}

Outcome run_command(const std::vector<std::string>& words, Duration limit) {
  const Time end = Clock::now() + limit;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return {false, fmt::format("'{}' was not run: {}", words.at(0), std::strerror(errno))};
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  std::vector<std::string> copies = words;
  std::vector<char*> arguments;
  for (std::string& word : copies) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const SpawnPlan plan(ends[1]);
  pid_t child = -1;
  const int failed = ::posix_spawnp(&child, arguments[0], &plan.files, &plan.attributes,
                                    arguments.data(), environ);
  ::close(ends[1]);
  Outcome outcome;
  if (failed != 0)
    outcome.said = fmt::format("'{}' cannot be run: {}; name it with its path, or another command",
                               words.at(0), std::strerror(failed));
  else
    outcome = wait_for(child, ends[0], end, words.at(0));
  ::close(ends[0]);
  return outcome;
}

}  // namespace baozi::keeper
