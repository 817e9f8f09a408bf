#include "baozi/coro/thread_pool.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <new>
#include <utility>

#include "baozi/coro/trace.h"

namespace baozi {
namespace {

constexpr std::uint32_t kInboxEvery =
    61;  // turns after which the inbox goes first, so that it never starves

// The worker that this thread is, whatever its pool.
thread_local void* tl_worker = nullptr;

}  // namespace

bool ThreadPool::Ring::push(Work& work) noexcept {
  const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
  if (tail - head_.load(std::memory_order_acquire) == kCapacity) return false;
  slots_[tail % kCapacity].store(&work, std::memory_order_relaxed);
  tail_.store(tail + 1, std::memory_order_release);
  return true;
}

Work* ThreadPool::Ring::pop() noexcept {
  std::uint64_t head = head_.load(std::memory_order_acquire);
  for (;;) {
    if (head >= tail_.load(std::memory_order_acquire)) return nullptr;
    Work* work = slots_[head % kCapacity].load(std::memory_order_relaxed);
    if (head_.compare_exchange_weak(head, head + 1, std::memory_order_acq_rel,
                                    std::memory_order_acquire))
      return work;
  }
}

Work* ThreadPool::Ring::steal_half(Ring& into) noexcept {
  std::array<Work*, kStealMax> taken;
  std::uint64_t head = head_.load(std::memory_order_acquire);
  std::uint64_t count = 0;
  do {
    const std::uint64_t tail = tail_.load(std::memory_order_acquire);
    if (head >= tail) return nullptr;
    count = std::min((tail - head + 1) / 2, kStealMax);
    for (std::uint64_t i = 0; i < count; ++i) {
      taken[i] = slots_[(head + i) % kCapacity].load(std::memory_order_relaxed);
    }
  } while (!head_.compare_exchange_weak(head, head + count, std::memory_order_acq_rel,
                                        std::memory_order_acquire));
  for (std::uint64_t i = 1; i < count; ++i) into.push(*taken[i]);  // empty before, so there is room
  return taken[0];
}

bool ThreadPool::Ring::take_oldest(std::array<Work*, kChunk>& into) noexcept {
  std::uint64_t head = head_.load(std::memory_order_acquire);
  do {
    if (tail_.load(std::memory_order_relaxed) - head < into.size()) return false;
    for (std::uint64_t i = 0; i < into.size(); ++i)
      into[i] = slots_[(head + i) % kCapacity].load(std::memory_order_relaxed);
  } while (!head_.compare_exchange_weak(head, head + into.size(), std::memory_order_acq_rel,
                                        std::memory_order_acquire));
  return true;
}

std::uint64_t ThreadPool::Ring::room() const noexcept {
  return kCapacity -
         (tail_.load(std::memory_order_relaxed) - head_.load(std::memory_order_relaxed));
}

bool ThreadPool::Ring::empty() const noexcept {
  return head_.load(std::memory_order_seq_cst) >= tail_.load(std::memory_order_seq_cst);
}

ThreadPool::ThreadPool(int threads, std::string name) : name_(std::move(name)) {
  const int count = std::clamp(threads, 1, kThreadsMax);
  for (int i = 0; i < count; ++i) {
    workers_.push_back(std::make_unique<Worker>());
    workers_.back()->pool = this;
    workers_.back()->index = i;
  }
  for (auto& worker : workers_)
    worker->thread = std::thread([this, self = worker.get()] { loop(*self); });
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_seq_cst);
  for (auto& worker : workers_) worker->parker.wake();
  for (auto& worker : workers_) worker->thread.join();
  gate_.wait_until_empty();
  delete spare_chunk_;
}

ThreadPool::Worker* ThreadPool::this_worker() const noexcept {
  auto* worker = static_cast<Worker*>(tl_worker);
  return worker != nullptr && worker->pool == this ? worker : nullptr;
}

void ThreadPool::post(Work& work) noexcept {
  Worker* worker = this_worker();
  if (worker == nullptr) {
    post_from_outside(work);
    return;
  }
  while (!worker->ring.push(work)) spill(*worker);
  // Orders the push before the look at who sleeps; the sleeper does the reverse.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (sleeping_.load(std::memory_order_seq_cst) != 0) wake_one();
}

void ThreadPool::post_from_outside(Work& work) noexcept {
  const PostGate::Scope inside(gate_);
  inbox_.push(work);
  if (sleeping_.load(std::memory_order_seq_cst) != 0) wake_one();
}

// Makes room in a full ring. Half at once: a task that spawns thousands takes the lock once for
// many of them.
void ThreadPool::spill(Worker& self) noexcept {
  std::array<Work*, kChunk> works;
  if (!self.ring.take_oldest(works)) return;
  const std::lock_guard lock(backlog_mutex_);
  Chunk* chunk = std::exchange(spare_chunk_, nullptr);
  if (chunk == nullptr) chunk = new (std::nothrow) Chunk;
  if (chunk != nullptr) {
    chunk->works = works;
    chunk->next = nullptr;
    (oldest_chunk_ != nullptr ? newest_chunk_->next : oldest_chunk_) = chunk;
    newest_chunk_ = chunk;
  } else {
    for (Work* work : works) {
      work->next = nullptr;
      backlog_.append({work, work});
    }
  }
  has_backlog_.store(true, std::memory_order_seq_cst);
}

void ThreadPool::post_yield(Work& work) noexcept {
  Worker* worker = this_worker();
  if (worker == nullptr || !worker->ring.push(work)) post(work);
}

bool ThreadPool::has_waiting() const noexcept {
  const Worker* worker = this_worker();
  return worker == nullptr || !worker->ring.empty() || !inbox_.looks_empty() ||
         has_backlog_.load(std::memory_order_relaxed);
}

void ThreadPool::wake_one() noexcept {
  std::uint64_t sleeping = sleeping_.load(std::memory_order_seq_cst);
  while (sleeping != 0) {
    const std::uint64_t bit = sleeping & (~sleeping + 1);
    if (sleeping_.compare_exchange_weak(sleeping, sleeping & ~bit, std::memory_order_seq_cst)) {
      workers_[static_cast<std::size_t>(std::countr_zero(bit))]->parker.wake();
      return;
    }
  }
}

void ThreadPool::loop(Worker& self) {
  tl_worker = &self;
  trace::set_thread_name(name_ + "-" + std::to_string(self.index));
  do {
    while (Work* work = next_work(self)) work->run(work);
  } while (sleep(self));
}

Work* ThreadPool::next_work(Worker& self) noexcept {
  if (++self.turns % kInboxEvery == 0) {
    if (Work* work = take_injected(self)) return work;
  }
  if (Work* work = self.ring.pop()) return work;
  if (Work* work = take_injected(self)) return work;
  return steal(self);
}

Work* ThreadPool::take_injected(Worker& self) noexcept {
  if (inbox_.looks_empty() && !has_backlog_.load(std::memory_order_relaxed)) return nullptr;
  Work* first = nullptr;
  bool more = false;
  {
    const std::lock_guard lock(backlog_mutex_);
    backlog_.append(inbox_.take_chain());
    chunk_is_next_ = !chunk_is_next_;
    if (chunk_is_next_ || backlog_.oldest == nullptr) first = take_chunk(self);
    if (first != nullptr) {
      more = true;
    } else if (backlog_.oldest != nullptr) {
      first = std::exchange(backlog_.oldest, backlog_.oldest->next);
      for (std::size_t i = 1; i < kChunk && backlog_.oldest != nullptr; ++i) {
        Work* next = backlog_.oldest->next;  // once in the ring, another worker may run it
        if (!self.ring.push(*backlog_.oldest)) break;
        backlog_.oldest = next;
        more = true;
      }
    }
    has_backlog_.store(backlog_.oldest != nullptr || oldest_chunk_ != nullptr,
                       std::memory_order_relaxed);
  }
  if (more) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (sleeping_.load(std::memory_order_seq_cst) != 0) wake_one();
  }
  return first;
}

// With the lock. The oldest of the oldest chunk, whose rest goes to the ring; null when there is no
// chunk, or no room for it.
Work* ThreadPool::take_chunk(Worker& self) noexcept {
  Chunk* const chunk = oldest_chunk_;
  if (chunk == nullptr || self.ring.room() < kChunk) return nullptr;
  oldest_chunk_ = chunk->next;
  for (Work* work : chunk->works) __builtin_prefetch(work, 1);
  Work* const first = chunk->works[0];
  for (std::size_t i = 1; i < kChunk; ++i) self.ring.push(*chunk->works[i]);
  delete std::exchange(spare_chunk_, chunk);
  return first;
}

Work* ThreadPool::steal(Worker& self) noexcept {
  const auto count = workers_.size();
  for (std::size_t i = 1; i < count; ++i) {
    Worker& victim = *workers_[(static_cast<std::size_t>(self.index) + i) % count];
    if (Work* work = victim.ring.steal_half(self.ring)) return work;
  }
  return nullptr;
}

bool ThreadPool::anything_queued() const noexcept {
  if (!inbox_.empty() || has_backlog_.load(std::memory_order_seq_cst)) return true;
  return std::ranges::any_of(workers_, [](const auto& worker) { return !worker->ring.empty(); });
}

bool ThreadPool::sleep(Worker& self) noexcept {
  const std::uint64_t bit = std::uint64_t{1} << self.index;
  sleeping_.fetch_or(bit, std::memory_order_seq_cst);
  // Whoever posts after this line sees the bit; what was posted before it is seen here.
  if (anything_queued()) {
    sleeping_.fetch_and(~bit,
                        std::memory_order_seq_cst);  // a wake-up on its way is a spurious one later
    return true;
  }
  if (stopping_.load(std::memory_order_seq_cst)) return false;
  self.parker.park();
  sleeping_.fetch_and(~bit, std::memory_order_seq_cst);
  return true;
}

}  // namespace baozi
