#include "baozi/coro/timer.h"

#include <sys/prctl.h>

#include <atomic>
#include <cassert>
#include <mutex>
#include <thread>
#include <vector>

#include "baozi/coro/parker.h"
#include "baozi/coro/trace.h"

namespace baozi {

// A binary min-heap by due time in which every entry knows its place. Not thread-safe.
class TimerHeap {
 public:
  bool empty() const noexcept { return entries_.empty(); }
  std::size_t size() const noexcept { return entries_.size(); }
  TimerEntry& earliest() const noexcept { return *entries_.front(); }
  static Time due(const TimerEntry& entry) noexcept { return entry.due_; }
  static void fire(TimerEntry& entry) noexcept { entry.fire_(&entry); }

  // Whether `entry` is now the earliest.
  bool add(TimerEntry& entry, Time due) {
    assert(entry.index_ == TimerEntry::kNotQueued);
    entries_.push_back(&entry);
    entry.due_ = due;
    entry.index_ = entries_.size() - 1;
    rise(entry.index_);
    return entry.index_ == 0;
  }

  bool remove(TimerEntry& entry) noexcept {
    const std::size_t hole = entry.index_;
    if (hole == TimerEntry::kNotQueued) return false;
    entry.index_ = TimerEntry::kNotQueued;
    TimerEntry* last = entries_.back();
    entries_.pop_back();
    if (last == &entry) return true;
    place(hole, last);
    rise(hole);
    sink(last->index_);
    return true;
  }

 private:
  void place(std::size_t at, TimerEntry* entry) noexcept {
    entries_[at] = entry;
    entry->index_ = at;
  }

  void rise(std::size_t at) noexcept {
    TimerEntry* entry = entries_[at];
    while (at > 0) {
      const std::size_t parent = (at - 1) / 2;
      if (entries_[parent]->due_ <= entry->due_) break;
      place(at, entries_[parent]);
      at = parent;
    }
    place(at, entry);
  }

  void sink(std::size_t at) noexcept {
    TimerEntry* entry = entries_[at];
    for (;;) {
      std::size_t child = 2 * at + 1;
      if (child >= entries_.size()) break;
      if (child + 1 < entries_.size() && entries_[child + 1]->due_ < entries_[child]->due_) ++child;
      if (entry->due_ <= entries_[child]->due_) break;
      place(at, entries_[child]);
      at = child;
    }
    place(at, entry);
  }

  std::vector<TimerEntry*> entries_;
};

namespace timer {
namespace {

class TimerThread {
 public:
  TimerThread() : thread_([this] { loop(); }) {}
  ~TimerThread() {
    stopping_.store(true, std::memory_order_release);
    parker_.wake();
    thread_.join();
  }

  void add(TimerEntry& entry, Time due) {
    bool earliest = false;
    {
      const std::lock_guard lock(mutex_);
      earliest = heap_.add(entry, due);
    }
    if (earliest) parker_.wake();
  }

  bool cancel(TimerEntry& entry) noexcept {
    std::unique_lock lock(mutex_);
    const bool removed = heap_.remove(entry);
    const bool here = std::this_thread::get_id() == thread_.get_id();
    while (running_ == &entry && !here) {
      lock.unlock();
      std::this_thread::yield();
      lock.lock();
    }
    return removed;
  }

  std::size_t armed() noexcept {
    const std::lock_guard lock(mutex_);
    return heap_.size();
  }

 private:
  void loop() noexcept {
    trace::set_thread_name("timer");
    prctl(PR_SET_TIMERSLACK, 1UL);  // nanoseconds; the default lets the kernel be 50 µs late
    while (!stopping_.load(std::memory_order_acquire)) parker_.park_until(fire_due());
  }

  // Runs what is due; returns when the next entry is.
  Time fire_due() noexcept {
    std::unique_lock lock(mutex_);
    while (!heap_.empty()) {
      TimerEntry& entry = heap_.earliest();
      if (TimerHeap::due(entry) > Clock::now()) return TimerHeap::due(entry);
      heap_.remove(entry);
      running_ = &entry;
      lock.unlock();
      TimerHeap::fire(entry);
      lock.lock();
      running_ = nullptr;
    }
    return kNever;
  }

  std::mutex mutex_;
  TimerHeap heap_;                 // guarded by mutex_
  TimerEntry* running_ = nullptr;  // guarded by mutex_
  std::atomic<bool> stopping_{false};
  Parker parker_;
  std::thread thread_;  // last: it uses the others
};

TimerThread& timer_thread() {
  static TimerThread instance;
  return instance;
}

}  // namespace

void add(TimerEntry& entry, Time due) { timer_thread().add(entry, due); }
bool cancel(TimerEntry& entry) noexcept { return timer_thread().cancel(entry); }
std::size_t armed() noexcept { return timer_thread().armed(); }

}  // namespace timer
}  // namespace baozi
