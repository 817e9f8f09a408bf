// Do the stages of many requests overlap? 50 ms before and 30 ms after on two CPU threads, 100 ms
// of model on one lane: N requests should take N times the bottleneck plus the rest once.
#include <benchmark/benchmark.h>

#include <thread>

#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/engine/fake/fake_engine.h"
#include "baozi/pipeline/batched_model.h"

namespace baozi::pipeline {
namespace {

using namespace std::chrono_literals;

constexpr auto kBefore = 50ms;
constexpr auto kModel = 100ms;
constexpr auto kAfter = 30ms;

// Sleeping stands for computing: it takes the thread, but no core, so that the figure does not
// depend on the machine.
Task<void> one_request(BatchedModel* model) {
  std::this_thread::sleep_for(kBefore);
  model::InferRequest request;
  request.inputs.push_back({"input", Tensor::of<float>({1, 4}, {1, 2, 3, 4})});
  model::InferResponse response = co_await model->infer(std::move(request));
  std::this_thread::sleep_for(kAfter);
}

Task<void> all_requests(BatchedModel* model, ThreadPool* cpu, int requests) {
  Nursery nursery(*cpu);
  for (int i = 0; i < requests; ++i) nursery.spawn(one_request(model));
  co_await nursery.join();
}

// What the ideal takes as plain sleeps on this machine, now: a crowded one wakes threads late.
Duration plain_sleeps(int requests) {
  const Time begin = Clock::now();
  std::this_thread::sleep_for(kBefore);
  for (int i = 0; i < requests; ++i) std::this_thread::sleep_for(kModel);
  std::this_thread::sleep_for(kAfter);
  return Clock::now() - begin;
}

void overlap(benchmark::State& state) {
  const auto requests = static_cast<int>(state.range(0));
  ThreadPool cpu(2);
  engine::FakeOptions fake;
  fake.latency = kModel;
  BatchOptions batch;
  batch.max_batch = 1;
  BatchedModel model(engine::make_fake_model(fake),
                     {.name = "overlap", .instances = 1, .batch = batch});
  Duration took{};
  for (auto _ : state) {
    const Time begin = Clock::now();
    sync_wait(all_requests(&model, &cpu, requests));
    took = Clock::now() - begin;
  }
  const Duration plain = plain_sleeps(requests);
  const Duration ideal = requests * kModel + kBefore + kAfter;
  state.counters["ideal_ms"] = std::chrono::duration<double, std::milli>(ideal).count();
  state.counters["took_ms"] = std::chrono::duration<double, std::milli>(took).count();
  state.counters["took/plain"] =
      std::chrono::duration<double>(took) / std::chrono::duration<double>(plain);
  state.counters["took/ideal"] =
      std::chrono::duration<double>(took) / std::chrono::duration<double>(ideal);
}
BENCHMARK(overlap)->Arg(5)->Arg(20)->Iterations(1)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace baozi::pipeline
