// Creating a child and awaiting its result. oneTBB and Taskflow have no await: a child task, waited
// for by its parent.
#include <benchmark/benchmark.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/thread_pool.hpp>
#include <taskflow/taskflow.hpp>

#include "baozi/coro/sync_wait.h"
#include "baozi/coro/task.h"

namespace {

namespace asio = boost::asio;

baozi::Task<int> child(int x) { co_return x + 1; }
baozi::Task<void> parent(benchmark::State* state) {
  int x = 0;
  for (auto _ : *state) {
    int y = co_await child(x);
    benchmark::DoNotOptimize(x = y);
  }
}
void with_baozi(benchmark::State& state) {
  baozi::StopSource stop;
  const baozi::Context context{stop.token(), baozi::Clock::now() + std::chrono::hours(1), nullptr};
  baozi::sync_wait(parent(&state), context);
}
BENCHMARK(with_baozi)->Name("create_await/baozi")->UseRealTime();

asio::awaitable<int> asio_child(int x) { co_return x + 1; }
asio::awaitable<void> asio_parent(benchmark::State* state) {
  int x = 0;
  for (auto _ : *state) {
    int y = co_await asio_child(x);
    benchmark::DoNotOptimize(x = y);
  }
}
void with_asio(benchmark::State& state) {
  asio::thread_pool pool(1);
  asio::co_spawn(pool, asio_parent(&state), asio::detached);
  pool.join();
}
BENCHMARK(with_asio)->Name("create_await/asio")->UseRealTime();

void with_tbb(benchmark::State& state) {
  tbb::task_arena arena(1);
  arena.execute([&] {
    int x = 0;
    for (auto _ : state) {
      tbb::task_group group;
      group.run_and_wait([&] { ++x; });
      benchmark::DoNotOptimize(x);
    }
  });
}
BENCHMARK(with_tbb)->Name("create_await/tbb")->UseRealTime();

void with_taskflow(benchmark::State& state) {
  tf::Executor executor(1);
  tf::Taskflow flow;
  flow.emplace([&](tf::Runtime& runtime) {
    int x = 0;
    for (auto _ : state) {
      runtime.silent_async([&] { ++x; });
      runtime.corun_all();
      benchmark::DoNotOptimize(x);
    }
  });
  executor.run(flow).wait();
}
BENCHMARK(with_taskflow)->Name("create_await/taskflow")->UseRealTime();

}  // namespace
