// ThreadPool: an executor of N threads for CPU work that blocks nowhere. Each worker has a queue of
// its own from which idle workers steal; work from outside goes to a shared inbox, and what is too
// much for a worker's own queue to a shared backlog. Idle threads
// sleep, and a post wakes one only when one sleeps.
//
// Thread safety: all methods. The destructor runs what was posted before it, then joins the
// threads; nothing may be posted from outside after that.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "baozi/coro/executor.h"
#include "baozi/coro/inbox.h"
#include "baozi/coro/parker.h"
#include "baozi/coro/post_gate.h"

namespace baozi {

class ThreadPool final : public Executor {
 public:
  static constexpr int kThreadsMax = 64;

  // `threads` in [1, kThreadsMax].
  explicit ThreadPool(int threads, std::string name = "cpu");
  ~ThreadPool() override;

  void post(Work& work) noexcept override;
  void post_yield(Work& work) noexcept override;
  bool has_waiting() const noexcept override;
  const char* name() const noexcept override { return name_.c_str(); }

  int threads() const noexcept { return static_cast<int>(workers_.size()); }

 private:
  // What is moved between a worker's ring and the backlog at once.
  static constexpr std::size_t kChunk = 128;

  // Pointers, not a chain: a long backlog has left the caches, and following a chain through it
  // would wait for memory once a task, while pointers can be fetched side by side.
  struct Chunk {
    Chunk* next = nullptr;
    std::array<Work*, kChunk> works;
  };

  // One owner pushes and pops, anyone steals, oldest first. Positions only grow, so a slot that was
  // read before it was overwritten is noticed by the compare-and-swap on head.
  class Ring {
   public:
    static constexpr std::uint64_t kCapacity = 2 * kChunk;
    bool push(Work& work) noexcept;  // owner; false when full
    Work* pop() noexcept;            // anyone; null when empty
    // Anyone: moves up to half of what is here to `into`, which the caller owns, but for the
    // oldest, which is returned; null when empty.
    Work* steal_half(Ring& into) noexcept;
    // Owner: moves the kChunk oldest to `into`; false when others were quicker.
    bool take_oldest(std::array<Work*, kChunk>& into) noexcept;
    std::uint64_t room() const noexcept;  // owner; it only grows by itself
    bool empty() const noexcept;

   private:
    static constexpr std::uint64_t kStealMax = 32;
    alignas(64) std::atomic<std::uint64_t> head_{0};
    alignas(64) std::atomic<std::uint64_t> tail_{0};
    std::atomic<Work*> slots_[kCapacity]{};
  };

  struct Worker {
    Ring ring;
    Parker parker;
    std::uint32_t turns = 0;  // owner only
    ThreadPool* pool = nullptr;
    int index = 0;
    std::thread thread;
  };

  void loop(Worker& self);
  Work* next_work(Worker& self) noexcept;
  Work* take_injected(Worker& self) noexcept;
  Work* take_chunk(Worker& self) noexcept;
  void spill(Worker& self) noexcept;
  Work* steal(Worker& self) noexcept;
  bool sleep(Worker& self) noexcept;  // false when the pool stops
  bool anything_queued() const noexcept;
  void post_from_outside(Work& work) noexcept;
  void wake_one() noexcept;
  Worker* this_worker() const noexcept;

  const std::string name_;
  std::vector<std::unique_ptr<Worker>> workers_;  // constant after construction
  std::atomic<std::uint64_t> sleeping_{0};        // a bit a worker
  std::atomic<bool> stopping_{false};
  alignas(64) Inbox inbox_;
  PostGate gate_;  // for posts from outside
  std::mutex backlog_mutex_;
  // Guarded by backlog_mutex_:
  WorkChain backlog_;              // from the inbox, and what found no memory for a chunk
  Chunk* oldest_chunk_ = nullptr;  // from full rings
  Chunk* newest_chunk_ = nullptr;
  Chunk* spare_chunk_ = nullptr;
  bool chunk_is_next_ = false;  // the two take turns
  std::atomic<bool> has_backlog_{false};
};

}  // namespace baozi
