// What the batcher's core costs an event, with few and with many requests waiting.
#include <benchmark/benchmark.h>

#include "baozi/pipeline/batcher.h"

namespace baozi::pipeline {
namespace {

constexpr int kInstances = 2;

BatchQueue filled(int waiting, Actions& actions) {
  BatchOptions options;
  options.queue_max = waiting + 64;
  BatchQueue queue(options, kInstances);
  const Time now{std::chrono::seconds(1)};
  for (int i = 0; i < waiting + kInstances; ++i) {
    const std::uint32_t bucket = queue.bucket(static_cast<std::uint64_t>(i % 8));
    queue.add({.id = 1,
               .bucket = bucket,
               .deadline = now + std::chrono::seconds(60 + i % 7),
               .enqueued = now});
    decide(queue, now, actions);
    queue.apply(actions, now);
  }
  return queue;
}

// Nothing has changed and every instance is busy.
void decide_idle(benchmark::State& state) {
  Actions actions;
  const BatchQueue queue = filled(static_cast<int>(state.range(0)), actions);
  const Time now{std::chrono::seconds(2)};
  for (auto _ : state) {
    decide(queue, now, actions);
    benchmark::DoNotOptimize(actions.expire_at);
  }
}
BENCHMARK(decide_idle)->Arg(10)->Arg(10'000);

// A request comes and goes while all are busy.
void add_decide_remove(benchmark::State& state) {
  Actions actions;
  BatchQueue queue = filled(static_cast<int>(state.range(0)), actions);
  const Time now{std::chrono::seconds(2)};
  const std::uint32_t bucket = queue.bucket(3);
  for (auto _ : state) {
    const Handle handle = queue.add(
        {.id = 1, .bucket = bucket, .deadline = now + std::chrono::seconds(90), .enqueued = now});
    decide(queue, now, actions);
    queue.remove(handle);
  }
}
BENCHMARK(add_decide_remove)->Arg(10)->Arg(10'000);

// A batch ends, the next begins, and as many requests come.
void batch_turn(benchmark::State& state) {
  Actions actions;
  BatchQueue queue = filled(static_cast<int>(state.range(0)), actions);
  Time now{std::chrono::seconds(2)};
  std::int64_t rows = 0;
  int instance = 0;
  for (auto _ : state) {
    now += std::chrono::milliseconds(1);
    queue.finished(instance, now, true);
    decide(queue, now, actions);
    queue.apply(actions, now);
    rows += actions.rows;
    for (int i = 0; i < actions.rows; ++i) {
      queue.add({.id = 1,
                 .bucket = actions.bucket,
                 .deadline = now + std::chrono::seconds(60),
                 .enqueued = now});
    }
    instance = actions.instance;
  }
  state.SetItemsProcessed(rows);
}
BENCHMARK(batch_turn)->Arg(10)->Arg(10'000);

}  // namespace
}  // namespace baozi::pipeline
