#include <gtest/gtest.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect_pipe.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/writable_pipe.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstdlib>
#include <new>
#include <string>
#include <thread>

#include "baozi/coro/asio/asio_await.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/coro/with_deadline.h"

namespace {
std::atomic<long> g_news{0};
}  // namespace

// Not inlined: GCC would take malloc and delete for a mismatched pair.
[[gnu::noinline]] void* operator new(std::size_t size) {
  g_news.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace baozi {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;
using asio::ip::tcp;

template <class T>
Code code_of(Task<T> task, const Context& context = {}) {
  try {
    sync_wait(std::move(task), context);
  } catch (const Error& error) {
    return error.code();
  }
  return Code::kOk;
}

Task<void> echo_once(tcp::acceptor* acceptor) {
  tcp::socket socket = co_await acceptor->async_accept(use_task);
  std::array<char, 64> bytes;
  for (;;) {
    auto [ec, n] = co_await socket.async_read_some(asio::buffer(bytes), use_task_ec);
    if (ec == asio::error::eof) co_return;
    auto window = asio::buffer(bytes.data(), n);
    co_await asio::async_write(socket, window, use_task);
  }
}
Task<int> echoes(tcp::endpoint server, asio::io_context* io, int rounds) {
  tcp::socket socket(*io);
  co_await socket.async_connect(server, use_task);
  const auto thread = std::this_thread::get_id();
  int right = 0;
  for (int i = 0; i < rounds; ++i) {
    const std::string out = "hello " + std::to_string(i);
    std::string in(out.size(), ' ');
    std::size_t sent = co_await asio::async_write(socket, asio::buffer(out), use_task);
    std::size_t got = co_await asio::async_read(socket, asio::buffer(in), use_task);
    if (sent == got && in == out && std::this_thread::get_id() == thread) ++right;
  }
  co_return right;
}
Task<int> echo_session(AsioExecutor* io, int rounds) {
  const Context& context = co_await this_context();
  tcp::acceptor acceptor(io->context(), tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  const tcp::endpoint server = acceptor.local_endpoint();
  Nursery nursery(context, *io);
  nursery.spawn(echo_once(&acceptor));
  int right = co_await echoes(server, &io->context(), rounds);
  co_await nursery.join();
  co_return right;
}
TEST(AsioAwait, CarriesBytesBothWays) {
  AsioThread io;
  EXPECT_EQ(sync_wait(echo_session(&io, 500).on(io)), 500);
}

Task<void> connect_nowhere(AsioExecutor* io) {
  // A port that was free a moment ago.
  tcp::endpoint nowhere;
  {
    tcp::acceptor acceptor(io->context(), tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    nowhere = acceptor.local_endpoint();
  }
  tcp::socket socket(io->context());
  co_await socket.async_connect(nowhere, use_task);
}
TEST(AsioAwait, AnErrorCodeIsThrownAsAnErrorWithItsAwait) {
  AsioThread io;
  try {
    sync_wait(connect_nowhere(&io).on(io));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnavailable);
    EXPECT_NE(error.message().find("refused"), std::string::npos) << error.message();
    ASSERT_FALSE(error.async_stack().empty());
    EXPECT_NE(std::string(error.async_stack()[0].function_name()).find("connect_nowhere"),
              std::string::npos);
  }
}

Task<std::size_t> read_forever(AsioExecutor* io) {
  asio::readable_pipe reader(io->context());
  asio::writable_pipe writer(io->context());
  asio::connect_pipe(reader, writer);
  char byte = 0;
  std::size_t n = co_await asio::async_read(reader, asio::buffer(&byte, 1), use_task);
  co_return n;
}
TEST(AsioAwait, AStopCancelsTheOperation) {
  AsioThread io;
  StopSource stop;
  const Context context{stop.token(), kNever, nullptr};
  std::thread stopper([&] {
    std::this_thread::sleep_for(10ms);
    stop.request_stop(Code::kAborted);
  });
  EXPECT_EQ(code_of(read_forever(&io).on(io), context), Code::kAborted);
  stopper.join();
  EXPECT_EQ(code_of(read_forever(&io).on(io), context), Code::kAborted)
      << "a stop that came before";
}
TEST(AsioAwait, ADeadlineCancelsTheOperation) {
  AsioThread io;
  EXPECT_EQ(code_of(with_timeout(read_forever(&io), 5ms).on(io)), Code::kDeadlineExceeded);
}
TEST(AsioAwait, ElsewhereThanOnItsLoopIsRefused) {
  AsioExecutor io;
  EXPECT_EQ(code_of(read_forever(&io)), Code::kFailedPrecondition);
}

Task<void> wait_timer(AsioExecutor* io, Duration span, std::atomic<int>* fired,
                      std::atomic<int>* stopped) {
  asio::steady_timer timer(io->context(), span);
  try {
    co_await timer.async_wait(use_task);
    fired->fetch_add(1);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCancelled);
    stopped->fetch_add(1);
  }
}
Task<void> race_timers(AsioExecutor* io, Duration stop_after, std::atomic<int>* fired,
                       std::atomic<int>* stopped) {
  Nursery nursery(*io);
  for (int i = 0; i < 20; ++i)
    nursery.spawn(wait_timer(io, std::chrono::microseconds(i * 20), fired, stopped));
  co_await sleep_for(stop_after);
  nursery.stop();  // from another thread than the loop's
  co_await nursery.join();
}
TEST(AsioAwait, StopsThatRaceCompletionsEndEveryOperationOnce) {
  AsioThread io;
  std::atomic<int> fired{0};
  std::atomic<int> stopped{0};
  for (int i = 0; i < 200; ++i)
    sync_wait(race_timers(&io, std::chrono::microseconds(2 * i), &fired, &stopped));
  EXPECT_EQ(fired + stopped, 4000);
  EXPECT_GT(fired.load(), 0);
  EXPECT_GT(stopped.load(), 0);
}

Task<int> post_and_dispatch(AsioExecutor* io, int rounds) {
  int done = 0;
  for (int i = 0; i < rounds; ++i) {
    co_await asio::post(io->context(), use_task);
    co_await asio::dispatch(io->context(), use_task);  // completes inside the call
    ++done;
  }
  co_return done;
}
TEST(AsioAwait, ManyOperationsInALoopDoNotGrowTheStack) {
  AsioThread io;
  EXPECT_EQ(sync_wait(post_and_dispatch(&io, 200'000).on(io)), 200'000);
}

Task<long> news_of_round_trips(AsioExecutor* io) {
  asio::readable_pipe reader(io->context());
  asio::writable_pipe writer(io->context());
  asio::connect_pipe(reader, writer);
  char byte = 'x';
  long before = 0;
  for (int i = 0; i < 1100; ++i) {
    if (i == 100) before = g_news.load();
    co_await asio::async_write(writer, asio::buffer(&byte, 1), use_task);
    co_await asio::async_read(reader, asio::buffer(&byte, 1), use_task);
  }
  co_return g_news.load() - before;
}
TEST(AsioAwait, OperationsAllocateNothingInSteadyState) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "frames come from the heap under AddressSanitizer";
#endif
  AsioThread io;
  StopSource stop;
  const Context context{stop.token(), kNever, nullptr};
  EXPECT_EQ(sync_wait(news_of_round_trips(&io).on(io)), 0);
  EXPECT_EQ(sync_wait(news_of_round_trips(&io).on(io), context), 0) << "with a cancellation slot";
}

Task<void> there_and_back(AsioExecutor* io, ThreadPool* pool, std::atomic<int>* count) {
  for (int i = 0; i < 20; ++i) {
    co_await switch_to(*pool);
    co_await switch_to(*io);
    co_await yield();
    count->fetch_add(1);
  }
}
Task<void> many_there_and_back(AsioExecutor* io, ThreadPool* pool, std::atomic<int>* count) {
  Nursery nursery(*io);
  for (int i = 0; i < 100; ++i) nursery.spawn(there_and_back(io, pool, count));
  co_await nursery.join();
}
TEST(AsioExecutor, LosesNoWakeUp) {
  AsioThread io;
  ThreadPool pool(2);
  std::atomic<int> count{0};
  for (int i = 0; i < 50; ++i) sync_wait(many_there_and_back(&io, &pool, &count));
  EXPECT_EQ(count.load(), 100'000);
}

Task<void> yield_until(std::atomic<bool>* done) {
  while (!done->load()) co_await yield();
}
Task<void> set_after(AsioExecutor* io, std::atomic<bool>* done) {
  asio::steady_timer timer(io->context(), 2ms);
  co_await timer.async_wait(use_task);
  done->store(true);
}
Task<void> yield_beside_io(AsioExecutor* io) {
  std::atomic<bool> done{false};
  Nursery nursery(*io);
  nursery.spawn(set_after(io, &done));
  nursery.spawn(yield_until(&done));
  co_await nursery.join();
}
TEST(AsioExecutor, ATaskThatYieldsDoesNotStarveTheSockets) {
  AsioThread io;
  sync_wait(yield_beside_io(&io));
}

TEST(AsioExecutor, PlainHandlersRunAndStopDrains) {
  AsioExecutor io;
  int ran = 0;
  asio::post(io.context(), [&] { ++ran; });
  io.stop();
  io.run();
  EXPECT_EQ(ran, 1);
}

}  // namespace
}  // namespace baozi
