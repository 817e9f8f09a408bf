// From posting a task to a pool that sleeps until the task runs. Median and 99th percentile in
// microseconds.
#include <benchmark/benchmark.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <taskflow/taskflow.hpp>
#include <thread>
#include <vector>

#include "baozi/coro/nursery.h"
#include "baozi/coro/thread_pool.h"

namespace {

constexpr auto kIdle =
    std::chrono::microseconds(300);  // long enough for every peer to stop spinning
constexpr int kSamples = 2000;

// `post(mark)` must make `mark` run on the pool.
template <class Post>
void measure(benchmark::State& state, Post post) {
  std::vector<double> micros;
  for (auto _ : state) {
    std::this_thread::sleep_for(kIdle);
    std::atomic<std::int64_t> ran_at{0};
    const auto start = baozi::Clock::now();
    post(ran_at);
    while (ran_at.load(std::memory_order_acquire) == 0) std::this_thread::yield();
    const auto waited = baozi::Duration(ran_at.load()) - start.time_since_epoch();
    const double seconds = std::chrono::duration<double>(waited).count();
    state.SetIterationTime(seconds);
    micros.push_back(seconds * 1e6);
  }
  std::ranges::sort(micros);
  state.counters["median_us"] = micros[micros.size() / 2];
  state.counters["p99_us"] = micros[micros.size() * 99 / 100];
}

void mark(std::atomic<std::int64_t>& ran_at) {
  ran_at.store(baozi::Clock::now().time_since_epoch().count(), std::memory_order_release);
}

baozi::Task<void> mark_task(std::atomic<std::int64_t>* ran_at) {
  mark(*ran_at);
  co_return;
}
void with_baozi(benchmark::State& state) {
  baozi::ThreadPool pool(2);
  baozi::Nursery nursery(pool);  // its tasks have ended when the pool has been joined
  measure(state, [&](std::atomic<std::int64_t>& ran_at) { nursery.spawn(mark_task(&ran_at)); });
  while (nursery.running() > 0) std::this_thread::yield();
}
BENCHMARK(with_baozi)->Name("wake/baozi")->UseManualTime()->Iterations(kSamples);

void with_asio(benchmark::State& state) {
  boost::asio::thread_pool pool(2);
  measure(state, [&](std::atomic<std::int64_t>& ran_at) {
    boost::asio::post(pool, [&] { mark(ran_at); });
  });
  pool.join();
}
BENCHMARK(with_asio)->Name("wake/asio")->UseManualTime()->Iterations(kSamples);

void with_tbb(benchmark::State& state) {
  tbb::task_arena arena(2, 0);
  measure(state, [&](std::atomic<std::int64_t>& ran_at) { arena.enqueue([&] { mark(ran_at); }); });
}
BENCHMARK(with_tbb)->Name("wake/tbb")->UseManualTime()->Iterations(kSamples);

void with_taskflow(benchmark::State& state) {
  tf::Executor executor(2);
  measure(state,
          [&](std::atomic<std::int64_t>& ran_at) { executor.silent_async([&] { mark(ran_at); }); });
  executor.wait_for_all();
}
BENCHMARK(with_taskflow)->Name("wake/taskflow")->UseManualTime()->Iterations(kSamples);

}  // namespace
