// AsioExecutor: an executor that drives a boost::asio::io_context on one thread. Coroutines on it
// await Asio operations (see asio_await.h) and never share a socket between threads.
//
//   AsioExecutor io("io");
//   boost::asio::ip::tcp::acceptor acceptor(io.context(), endpoint);
//   … spawn tasks on it, then io.run() on the I/O thread; or use an AsioThread.
//
// The loop takes turns between posted work and ready handlers, and sleeps in epoll; its wake-up is
// written only while it sleeps.
//
// Thread safety: post and stop from any thread; run on one. What is spawned on it is joined before
// stop.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <string>
#include <thread>

#include "baozi/coro/executor.h"
#include "baozi/coro/inbox.h"
#include "baozi/coro/post_gate.h"

namespace baozi {

class Burst;

class AsioExecutor : public Executor {
 public:
  explicit AsioExecutor(std::string name = "io");
  ~AsioExecutor() override;

  boost::asio::io_context& context() noexcept { return io_; }

  void post(Work& work) noexcept override;
  bool has_waiting() const noexcept override;
  const char* name() const noexcept override { return name_.c_str(); }

  // Runs work and handlers until stop() was called and nothing is ready any more.
  void run() noexcept;
  void stop() noexcept;

  // The executor whose run() this thread is in, or null.
  static AsioExecutor* current() noexcept;

 private:
  template <class T>
  struct WakeAllocator;
  static constexpr std::size_t kWakeBytes = 128;
  static constexpr int kHandlersMax = 16;  // handlers between two looks at the inbox
  static constexpr unsigned kYieldsWithoutPoll = 16;

  void wake() noexcept;
  int run_handlers(Burst& burst);
  void sleep();

  const std::string name_;
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  PostGate gate_;
  Inbox inbox_;
  Work* pending_ = nullptr;  // taken from the inbox, oldest first; the running thread's
  mutable unsigned yields_ = 0;
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> wake_posted_{false};  // the wake handler is queued, in wake_memory_
  alignas(std::max_align_t) std::array<std::byte, kWakeBytes> wake_memory_;
};

// With a thread of its own, as Lane is to WorkLoop.
class AsioThread final : public AsioExecutor {
 public:
  explicit AsioThread(std::string name = "io");
  ~AsioThread() override;

 private:
  std::thread thread_;
};

}  // namespace baozi
