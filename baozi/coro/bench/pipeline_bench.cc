// A pipeline of three stages of 1 µs each with 10,000 requests in flight, on two threads. The rate
// is requests_per_second.
#include <benchmark/benchmark.h>
#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/task_arena.h>

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <taskflow/algorithm/pipeline.hpp>
#include <taskflow/taskflow.hpp>

#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"

namespace {

namespace asio = boost::asio;
constexpr int kInFlight = 10'000;
constexpr int kRequests = 50'000;  // a round

void work_1us() {
  const auto until = baozi::Clock::now() + std::chrono::microseconds(1);
  while (baozi::Clock::now() < until) {
  }
}

void report(benchmark::State& state) {
  state.counters["requests_per_second"] =
      benchmark::Counter(kRequests, benchmark::Counter::kIsIterationInvariantRate);
}

baozi::Task<void> request() {
  work_1us();
  co_await baozi::yield();
  work_1us();
  co_await baozi::yield();
  work_1us();
}
baozi::Task<void> client(int requests) {
  for (int i = 0; i < requests; ++i) {
    co_await request();
    co_await baozi::yield();
  }
}
baozi::Task<void> all(baozi::ThreadPool* pool) {
  const baozi::Context& context = co_await baozi::this_context();
  baozi::Nursery nursery(context, *pool);
  for (int i = 0; i < kInFlight; ++i) nursery.spawn(client(kRequests / kInFlight));
  co_await nursery.join();
}
void with_baozi(benchmark::State& state) {
  baozi::ThreadPool pool(2);
  baozi::StopSource stop;
  const baozi::Context context{stop.token(), baozi::Clock::now() + std::chrono::hours(1), nullptr};
  for (auto _ : state) baozi::sync_wait(all(&pool).on(pool), context);
  report(state);
}
BENCHMARK(with_baozi)->Name("pipeline/baozi")->UseRealTime()->Unit(benchmark::kMillisecond);

asio::awaitable<void> asio_request(asio::thread_pool* pool) {
  work_1us();
  co_await asio::post(*pool, asio::use_awaitable);
  work_1us();
  co_await asio::post(*pool, asio::use_awaitable);
  work_1us();
}
asio::awaitable<void> asio_client(asio::thread_pool* pool, int requests) {
  for (int i = 0; i < requests; ++i) {
    co_await asio_request(pool);
    co_await asio::post(*pool, asio::use_awaitable);
  }
}
void with_asio(benchmark::State& state) {
  for (auto _ : state) {
    asio::thread_pool pool(2);
    for (int i = 0; i < kInFlight; ++i) {
      asio::co_spawn(pool, asio_client(&pool, kRequests / kInFlight), asio::detached);
    }
    pool.join();
  }
  report(state);
}
BENCHMARK(with_asio)->Name("pipeline/asio")->UseRealTime()->Unit(benchmark::kMillisecond);

void with_tbb(benchmark::State& state) {
  tbb::task_arena arena(2);
  for (auto _ : state) {
    arena.execute([] {
      int next = 0;
      const auto first = tbb::make_filter<void, int>(tbb::filter_mode::serial_in_order,
                                                     [&](tbb::flow_control& flow) {
                                                       if (next == kRequests) flow.stop();
                                                       return next++;
                                                     });
      const auto stage = tbb::make_filter<int, int>(tbb::filter_mode::parallel, [](int x) {
        work_1us();
        return x;
      });
      const auto last =
          tbb::make_filter<int, void>(tbb::filter_mode::parallel, [](int) { work_1us(); });
      tbb::parallel_pipeline(kInFlight, first & stage & stage & last);
    });
  }
  report(state);
}
BENCHMARK(with_tbb)->Name("pipeline/tbb")->UseRealTime()->Unit(benchmark::kMillisecond);

void with_taskflow(benchmark::State& state) {
  tf::Executor executor(2);
  for (auto _ : state) {
    tf::Taskflow flow;
    // Its first pipe must be serial and deals the tokens out.
    tf::Pipeline pipeline(kInFlight,
                          tf::Pipe{tf::PipeType::SERIAL,
                                   [](tf::Pipeflow& token) {
                                     if (token.token() == kRequests) token.stop();
                                   }},
                          tf::Pipe{tf::PipeType::PARALLEL, [](tf::Pipeflow&) { work_1us(); }},
                          tf::Pipe{tf::PipeType::PARALLEL, [](tf::Pipeflow&) { work_1us(); }},
                          tf::Pipe{tf::PipeType::PARALLEL, [](tf::Pipeflow&) { work_1us(); }});
    flow.composed_of(pipeline);
    executor.run(flow).wait();
  }
  report(state);
}
BENCHMARK(with_taskflow)->Name("pipeline/taskflow")->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
