#include "baozi/serve/preparer.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "baozi/base/clock.h"
#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/base/replace_file.h"
#include "baozi/coro/trace.h"
#include "baozi/serve/free_memory.h"

namespace baozi::serve {
namespace {

namespace fs = std::filesystem;

// For this thread, and those it starts: the processor and the disk only when nobody else wants
// them. What the system does not allow is left out.
void be_idle() noexcept {
  constexpr int kLowest = 19;
  constexpr int kOfThread = 1;        // IOPRIO_WHO_PROCESS
  constexpr int kDiskIdle = 3 << 13;  // IOPRIO_CLASS_IDLE
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_IDLE, &none);
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kLowest);
  ::syscall(SYS_ioprio_set, kOfThread, 0, kDiskIdle);
}

// Of the model file and what lies beside it.
std::uint64_t bytes_of(const fs::path& file) {
  std::uint64_t bytes = 0;
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(file.parent_path(), failed)) {
    const std::uint64_t size = entry.is_regular_file(failed) ? entry.file_size(failed) : 0;
    if (!failed) bytes += size;
  }
  return bytes;
}

// To prepare loads the model once more, beside what is served; a server must not die of that.
bool has_memory_for(const fs::path& file) {
  constexpr std::uint64_t kTimes = 3;
  const std::optional<std::uint64_t> left = free_memory();
  return !left || *left / kTimes >= bytes_of(file);
}

}  // namespace

Preparer::~Preparer() {
  stop_.request_stop();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Preparer::add(Work work) {
  if (work.options.prepared.folder.empty() || work.engine.of_language()) return;
  const std::lock_guard lock(mutex_);
  const bool known = std::ranges::any_of(
      waiting_, [&](const Work& each) { return each.name == work.name && each.file == work.file; });
  if (known || waiting_.size() >= kWaitingMax) return;
  waiting_.push_back(std::move(work));
  changed_.notify_all();
}

void Preparer::begin(std::vector<fs::path> folders) {
  const std::lock_guard lock(mutex_);
  if (ending_ || thread_.joinable()) return;
  thread_ = std::thread([this, folders = std::move(folders)] {
    trace::set_thread_name("prepare");
    be_idle();
    for (const fs::path& folder : folders) remove_leftovers(folder);
    run();
  });
}

void Preparer::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (ending_) return;
    const Work work = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    prepare(work);
    lock.lock();
  }
}

void Preparer::prepare(const Work& work) {
  using State = engine::Preparation::State;
  if (!has_memory_for(work.file)) {
    log().info("{} is not prepared for the next start: that takes memory that is not free",
               work.name);
    return;
  }
  const Time start = Clock::now();
  try {
    const engine::Preparation made = work.engine.prepare(work.file, work.options, stop_.token());
    if (made.state == State::kNone)
      log().debug("{} is not prepared: {}", work.name, made.why);
    else if (!made.why.empty())
      log().warn("{}: {}", work.name, made.why);
    if (made.state != State::kMade) return;
    log().info("{} is prepared for the next start{}: {} MB in {}, after {} ms", work.name,
               made.layers > 1 ? fmt::format(" in {} parts", made.layers) : "", made.bytes >> 20,
               made.folder.string(),
               std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count());
  } catch (const std::exception& error) {
    // What is served is not touched by it.
    if (!stop_.stop_requested())
      log().warn("{} could not be prepared for the next start: {}", work.name, error.what());
  }
}

}  // namespace baozi::serve
