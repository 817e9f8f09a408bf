// Hops: a task goes to the back of its pool's queue and comes out again. Rows:
// hops/<tasks>x<threads>/<who>; the rate is in hops_per_second. What has no coroutines hops by
// queueing its own continuation.
#include <benchmark/benchmark.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <taskflow/taskflow.hpp>

#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"

namespace {

namespace asio = boost::asio;
constexpr int kHops = 1'000'000;  // in all, a round

void report(benchmark::State& state) {
  state.counters["hops_per_second"] =
      benchmark::Counter(static_cast<double>(kHops), benchmark::Counter::kIsIterationInvariantRate);
}

// yield() goes on at once when nothing else waits; this one always takes the round through the
// queue, as the peers do.
struct Requeue {
  bool await_ready() const noexcept { return false; }
  template <class P>
  void await_suspend(std::coroutine_handle<P> handle) const noexcept {
    baozi::detail::PromiseBase& promise = handle.promise();
    promise.executor->post_yield(promise);
  }
  void await_resume() const noexcept {}
};

baozi::Task<void> hop(int hops) {
  for (int i = 0; i < hops; ++i) co_await Requeue();
}
baozi::Task<void> hop_all(baozi::ThreadPool* pool, int tasks) {
  const baozi::Context& context = co_await baozi::this_context();
  baozi::Nursery nursery(context, *pool);
  for (int i = 0; i < tasks; ++i) nursery.spawn(hop(kHops / tasks));
  co_await nursery.join();
}
void with_baozi(benchmark::State& state, int tasks, int threads) {
  baozi::ThreadPool pool(threads);
  baozi::StopSource stop;
  const baozi::Context context{stop.token(), baozi::Clock::now() + std::chrono::hours(1), nullptr};
  for (auto _ : state) baozi::sync_wait(hop_all(&pool, tasks).on(pool), context);
  report(state);
}

asio::awaitable<void> asio_hop(asio::thread_pool* pool, int hops) {
  for (int i = 0; i < hops; ++i) co_await asio::post(*pool, asio::use_awaitable);
}
void with_asio(benchmark::State& state, int tasks, int threads) {
  for (auto _ : state) {
    asio::thread_pool pool(static_cast<std::size_t>(threads));
    for (int i = 0; i < tasks; ++i)
      asio::co_spawn(pool, asio_hop(&pool, kHops / tasks), asio::detached);
    pool.join();
  }
  report(state);
}

struct TbbHop {
  tbb::task_group* group;
  int left;
  void operator()() const {
    if (left > 0) group->run(TbbHop{group, left - 1});
  }
};
void with_tbb(benchmark::State& state, int tasks, int threads) {
  tbb::task_arena arena(threads);
  for (auto _ : state) {
    arena.execute([&] {
      tbb::task_group group;
      for (int i = 0; i < tasks; ++i) group.run(TbbHop{&group, kHops / tasks});
      group.wait();
    });
  }
  report(state);
}

struct TaskflowHop {
  tf::Executor* executor;
  int left;
  void operator()() const {
    if (left > 0) executor->silent_async(TaskflowHop{executor, left - 1});
  }
};
void with_taskflow(benchmark::State& state, int tasks, int threads) {
  tf::Executor executor(static_cast<std::size_t>(threads));
  for (auto _ : state) {
    for (int i = 0; i < tasks; ++i) executor.silent_async(TaskflowHop{&executor, kHops / tasks});
    executor.wait_for_all();
  }
  report(state);
}

const bool registered = [] {
  const std::pair<const char*, void (*)(benchmark::State&, int, int)> peers[] = {
      {"baozi", with_baozi}, {"asio", with_asio}, {"tbb", with_tbb}, {"taskflow", with_taskflow}};
  for (const int tasks : {1, 1000}) {
    for (const int threads : {1, 2}) {
      for (const auto& [who, run] : peers) {
        const std::string name =
            "hops/" + std::to_string(tasks) + "x" + std::to_string(threads) + "/" + who;
        benchmark::RegisterBenchmark(name.c_str(), run, tasks, threads)
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
      }
    }
  }
  return true;
}();

}  // namespace
