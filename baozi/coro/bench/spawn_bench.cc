// Spawning 100,000 tasks that hop once, and joining them, on two threads. The time is that of all;
// time_per_task and bytes_per_task (see memory.h) are of one.
#include <benchmark/benchmark.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <taskflow/taskflow.hpp>

#include "baozi/coro/bench/memory.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"

namespace {

namespace asio = boost::asio;
constexpr int kTasks = 100'000;

baozi::Task<void> hop(std::atomic<int>* count) {
  co_await baozi::yield();
  count->fetch_add(1, std::memory_order_relaxed);
}
baozi::Task<void> spawn_all(baozi::ThreadPool* pool, std::atomic<int>* count) {
  const baozi::Context& context = co_await baozi::this_context();
  baozi::Nursery nursery(context, *pool);
  for (int i = 0; i < kTasks; ++i) nursery.spawn(hop(count));
  co_await nursery.join();
}
int once_baozi(baozi::ThreadPool& pool) {
  std::atomic<int> count{0};
  baozi::StopSource stop;
  const baozi::Context context{stop.token(), baozi::Clock::now() + std::chrono::hours(1), nullptr};
  baozi::sync_wait(spawn_all(&pool, &count).on(pool), context);
  return count;
}

asio::awaitable<void> asio_hop(std::atomic<int>* count) {
  const auto executor = co_await asio::this_coro::executor;
  co_await asio::post(executor, asio::use_awaitable);
  count->fetch_add(1, std::memory_order_relaxed);
}
asio::awaitable<void> asio_spawn_all(std::atomic<int>* count) {
  const auto executor = co_await asio::this_coro::executor;
  for (int i = 0; i < kTasks; ++i) asio::co_spawn(executor, asio_hop(count), asio::detached);
}
int once_asio(int threads) {
  std::atomic<int> count{0};
  asio::thread_pool pool(static_cast<std::size_t>(threads));
  asio::co_spawn(pool, asio_spawn_all(&count), asio::detached);
  pool.join();
  return count;
}

int once_tbb(tbb::task_arena& arena) {
  std::atomic<int> count{0};
  arena.execute([&] {
    tbb::task_group group;
    for (int i = 0; i < kTasks; ++i) {
      group.run([&] { group.run([&] { count.fetch_add(1, std::memory_order_relaxed); }); });
    }
    group.wait();
  });
  return count;
}

int once_taskflow(tf::Executor& executor) {
  std::atomic<int> count{0};
  executor.silent_async([&] {
    for (int i = 0; i < kTasks; ++i) {
      executor.silent_async(
          [&] { executor.silent_async([&] { count.fetch_add(1, std::memory_order_relaxed); }); });
    }
  });
  executor.wait_for_all();
  return count;
}

void check(benchmark::State& state, int count) {
  if (count != kTasks) state.SkipWithError("tasks were lost");
}
void report(benchmark::State& state, const char* who) {
  state.counters["time_per_task"] = benchmark::Counter(
      kTasks, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  state.counters["bytes_per_task"] = baozi::bench::bytes_per_task(who);
}

void with_baozi(benchmark::State& state) {
  baozi::ThreadPool pool(2);
  for (auto _ : state) check(state, once_baozi(pool));
  report(state, "baozi");
}
BENCHMARK(with_baozi)->Name("spawn_hop_join/baozi")->UseRealTime()->Unit(benchmark::kMillisecond);

void with_asio(benchmark::State& state) {
  for (auto _ : state) check(state, once_asio(2));
  report(state, "asio");
}
BENCHMARK(with_asio)->Name("spawn_hop_join/asio")->UseRealTime()->Unit(benchmark::kMillisecond);

void with_tbb(benchmark::State& state) {
  tbb::task_arena arena(2);
  for (auto _ : state) check(state, once_tbb(arena));
  report(state, "tbb");
}
BENCHMARK(with_tbb)->Name("spawn_hop_join/tbb")->UseRealTime()->Unit(benchmark::kMillisecond);

void with_taskflow(benchmark::State& state) {
  tf::Executor executor(2);
  for (auto _ : state) check(state, once_taskflow(executor));
  report(state, "taskflow");
}
BENCHMARK(with_taskflow)
    ->Name("spawn_hop_join/taskflow")
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// One thread, so that nothing runs before all are spawned.
void once_alive(const std::string& who) {
  if (who == "baozi") {
    baozi::ThreadPool pool(1);
    once_baozi(pool);
  } else if (who == "asio") {
    once_asio(1);
  } else if (who == "tbb") {
    tbb::task_arena arena(1);
    once_tbb(arena);
  } else {
    tf::Executor executor(1);
    once_taskflow(executor);
  }
}

long resident_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

std::map<std::string, double>& figures() {
  static std::map<std::string, double> instance;
  return instance;
}

}  // namespace

namespace baozi::bench {

void measure_memory() {
  for (const std::string who : {"baozi", "asio", "tbb", "taskflow"}) {
    int ends[2];
    if (pipe(ends) != 0) return;
    const pid_t child = fork();
    if (child == 0) {
      const long before = resident_kib();
      once_alive(who);
      const long grown = resident_kib() - before;
      const auto written = write(ends[1], &grown, sizeof grown);
      _exit(written == sizeof grown ? 0 : 1);
    }
    close(ends[1]);
    long grown = 0;
    if (child > 0 && read(ends[0], &grown, sizeof grown) == sizeof grown) {
      figures()[who] = static_cast<double>(grown) * 1024 / kTasks;
    }
    close(ends[0]);
    if (child > 0) waitpid(child, nullptr, 0);
  }
}

double bytes_per_task(const std::string& who) { return figures()[who]; }

}  // namespace baozi::bench
