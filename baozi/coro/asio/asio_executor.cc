#include "baozi/coro/asio/asio_executor.h"

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "baozi/coro/burst.h"
#include "baozi/coro/idle_poll.h"
#include "baozi/coro/trace.h"

namespace baozi {
namespace {

thread_local AsioExecutor* tl_current = nullptr;

}  // namespace

// Gives the executor's own memory to the wake handler, of which there is one at a time.
template <class T>
struct AsioExecutor::WakeAllocator {
  using value_type = T;
  AsioExecutor* executor;

  explicit WakeAllocator(AsioExecutor* owner) noexcept : executor(owner) {}
  template <class U>
  WakeAllocator(const WakeAllocator<U>& other) noexcept : executor(other.executor) {}
  T* allocate(std::size_t count) noexcept {
    if (count * sizeof(T) > kWakeBytes) std::terminate();
    return reinterpret_cast<T*>(executor->wake_memory_.data());
  }
  void deallocate(T*, std::size_t) noexcept {}
  template <class U>
  bool operator==(const WakeAllocator<U>& other) const noexcept {
    return executor == other.executor;
  }
};

AsioExecutor::AsioExecutor(std::string name)
    : name_(std::move(name)), io_(1), guard_(boost::asio::make_work_guard(io_)) {}

AsioExecutor::~AsioExecutor() { gate_.wait_until_empty(); }

AsioExecutor* AsioExecutor::current() noexcept { return tl_current; }

void AsioExecutor::post(Work& work) noexcept {
  const PostGate::Scope inside(gate_);
  inbox_.push(work);
  if (sleeping_.load(std::memory_order_seq_cst)) wake();
}

bool AsioExecutor::has_waiting() const noexcept {
  // Sockets may be ready, which only a look at them tells.
  return pending_ != nullptr || !inbox_.looks_empty() || ++yields_ % kYieldsWithoutPoll == 0;
}

void AsioExecutor::wake() noexcept {
  if (!sleeping_.exchange(false, std::memory_order_seq_cst)) return;
  if (wake_posted_.exchange(true, std::memory_order_acq_rel)) return;  // on its way already
  // Its memory is free again when it runs: Asio releases it before the call.
  boost::asio::post(io_, boost::asio::bind_allocator(WakeAllocator<std::byte>(this), [this] {
                      wake_posted_.store(false, std::memory_order_release);
                    }));
}

void AsioExecutor::run() noexcept {
  tl_current = this;
  Burst burst;
  for (;;) {
    pending_ = inbox_.take_all();
    while (pending_ != nullptr) {
      Work* work = pending_;
      pending_ = work->next;
      work->run(work);
      if (burst.overdue()) burst.end();
    }
    // Fewer than the most means that epoll has just said that nothing else is ready.
    const bool more = run_handlers(burst) == kHandlersMax;
    burst.end();
    if (more || !inbox_.empty()) continue;
    if (stopping_.load(std::memory_order_seq_cst)) break;
    if (found_while_idle([this] { return !inbox_.looks_empty() || io_.poll_one() > 0; })) continue;
    sleep();
  }
  tl_current = nullptr;
}

int AsioExecutor::run_handlers(Burst& burst) {
  int count = 0;
  while (count < kHandlersMax && io_.poll_one() > 0) {
    ++count;
    if (burst.overdue()) burst.end();
  }
  return count;
}

void AsioExecutor::sleep() {
  sleeping_.store(true, std::memory_order_seq_cst);
  // Whoever posts after this line sees the flag; what was posted before it is seen here.
  if (inbox_.empty() && !stopping_.load(std::memory_order_seq_cst)) io_.run_one();
  sleeping_.store(false, std::memory_order_seq_cst);
}

void AsioExecutor::stop() noexcept {
  stopping_.store(true, std::memory_order_seq_cst);
  wake();
}

AsioThread::AsioThread(std::string name) : AsioExecutor(name) {
  thread_ = std::thread([this, label = std::move(name)] {
    trace::set_thread_name(label);
    run();
  });
}

AsioThread::~AsioThread() {
  Burst::end_current();
  stop();
  thread_.join();
}

}  // namespace baozi
