#include "baozi/base/cold_start.h"

#include <time.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <mutex>
#include <utility>

namespace baozi::cold_start {
namespace {

struct Shared {
  std::mutex mutex;
  Record record;  // guarded by mutex
};

Shared& shared() {
  static Shared all;
  return all;
}

std::atomic<bool> answered{false};

// Field 22 of /proc/self/stat, in ticks since boot (man 5 proc). Behind the program's name, which
// may hold anything, stand field 3 and those after it.
std::uint64_t start_ticks() {
  std::ifstream file("/proc/self/stat");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  std::size_t at = text.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
  std::uint64_t ticks = 0;
  if (at != std::string::npos) {
    const char* const begin = text.data() + at + 1;
    std::from_chars(begin, text.data() + text.size(), ticks);
  }
  return ticks;
}

Time exec_time() {
  const std::uint64_t ticks = start_ticks();
  const Time now = Clock::now();
  timespec boot{};
  if (ticks == 0 || ::clock_gettime(CLOCK_BOOTTIME, &boot) != 0) return now;
  const auto since_boot =
      std::chrono::seconds(boot.tv_sec) + std::chrono::nanoseconds(boot.tv_nsec);
  const auto started = std::chrono::nanoseconds(static_cast<std::int64_t>(
      ticks * (1'000'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK)))));
  return now - std::chrono::duration_cast<Duration>(since_boot - started);
}

}  // namespace

void add(Span span) {
  const std::lock_guard lock(shared().mutex);
  if (shared().record.spans.size() < kSpansMax) shared().record.spans.push_back(std::move(span));
}

void ready() noexcept {
  const std::lock_guard lock(shared().mutex);
  if (shared().record.ready == kNever) shared().record.ready = Clock::now();
}

void first_answer() noexcept {
  if (answered.load(std::memory_order_relaxed) || answered.exchange(true)) return;
  const std::lock_guard lock(shared().mutex);
  shared().record.first_answer = Clock::now();
}

Record record() {
  static const Time exec = exec_time();
  Record copy;
  {
    const std::lock_guard lock(shared().mutex);
    copy = shared().record;
  }
  copy.exec = exec;
  return copy;
}

Phase::Phase(std::string_view name, std::string_view subject)
    : span_{std::string(name), std::string(subject), Clock::now(), {}} {}

Phase::~Phase() {
  span_.end = Clock::now();
  try {
    add(std::move(span_));
  } catch (const std::bad_alloc&) {
    // A phase less in the record.
  }
}

}  // namespace baozi::cold_start
