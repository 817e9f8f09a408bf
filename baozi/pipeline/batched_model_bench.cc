// What a request costs on its way through infer(), with a model that computes nothing.
#include <benchmark/benchmark.h>

#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/engine/fake/fake_engine.h"
#include "baozi/pipeline/batched_model.h"

namespace baozi::pipeline {
namespace {

Task<void> ask(BatchedModel* model, Tensor input, int requests) {
  for (int i = 0; i < requests; ++i) {
    model::InferRequest request;
    request.inputs.push_back({"input", input});
    model::InferResponse response = co_await model->infer(std::move(request));
    benchmark::DoNotOptimize(response.outputs.data());
  }
}

// As a server does it: one thread takes the requests, one lane runs them.
Task<void> ask_from(BatchedModel* model, int callers, int requests) {
  Executor& here = co_await this_executor();
  const Tensor input = Tensor::of<float>({1, 4}, {1, 2, 3, 4});
  Nursery nursery(here);
  for (int i = 0; i < callers; ++i) nursery.spawn(ask(model, input, requests));
  co_await nursery.join();
}

void infer_noop(benchmark::State& state) {
  const auto callers = static_cast<int>(state.range(0));
  BatchOptions batch;
  batch.max_batch = static_cast<int>(state.range(1));
  BatchedModel model(engine::make_fake_model({}), {.name = "noop", .instances = 1, .batch = batch});
  constexpr int kRequests = 500;
  for (auto _ : state) sync_wait(ask_from(&model, callers, kRequests));
  state.SetItemsProcessed(state.iterations() * callers * kRequests);
  const auto done = static_cast<double>(state.iterations() * callers * kRequests);
  state.counters["per_request"] =
      benchmark::Counter(done, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(infer_noop)
    ->ArgNames({"callers", "max_batch"})
    ->Args({1, 32})
    ->Args({16, 1})
    ->Args({16, 32})
    ->Args({64, 1})
    ->Args({64, 32})
    ->UseRealTime();

}  // namespace
}  // namespace baozi::pipeline
