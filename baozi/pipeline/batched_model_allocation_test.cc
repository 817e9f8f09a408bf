#include <gtest/gtest.h>

#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/engine/counting_new.h"
#include "baozi/engine/fake/fake_engine.h"
#include "baozi/pipeline/batched_model.h"

namespace baozi::pipeline {
namespace {

model::InferRequest request() {
  model::InferRequest made;
  made.inputs.push_back({"input", Tensor::of<float>({1, 4}, {1, 2, 3, 4})});
  return made;
}

Task<std::size_t> allocations_of(BatchedModel* model, int requests) {
  std::size_t total = 0;
  for (int i = 0; i < requests; ++i) {
    model::InferRequest made = request();
    const std::size_t before = counting_new::count();
    model::InferResponse response = co_await model->infer(std::move(made));
    total += counting_new::count() - before;
  }
  co_return total;
}

// From the call of infer() to its result: frames, queue, tensors, outputs and statistics all reuse
// what is there.
TEST(BatchedModelAllocation, SteadyStateAllocatesNothing) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "coroutine frames come from the heap under this sanitizer";
#endif
  engine::FakeOptions fake;
  fake.output = engine::FakeOutput::kSum;
  fake.signature.outputs[0].shape = {-1, 4};
  BatchedModel model(engine::make_fake_model(fake), {.name = "steady", .instances = 1});
  sync_wait(allocations_of(&model, 200));
  EXPECT_EQ(sync_wait(allocations_of(&model, 500)), 0u);
}

// A counter that cannot count would pass the test above.
TEST(BatchedModelAllocation, TheCounterCounts) {
  const std::size_t before = counting_new::count();
  const model::InferRequest made = request();
  EXPECT_GT(counting_new::count(), before);
}

Task<void> ask_many(BatchedModel* model, int requests, std::atomic<int>* right) {
  for (int i = 0; i < requests; ++i) {
    const float value = static_cast<float>(i);
    model::InferRequest made;
    made.inputs.push_back(
        {"input", Tensor::of<float>({1, 4}, {value, value + 1, value + 2, value + 3})});
    model::InferResponse response = co_await model->infer(std::move(made));
    const auto values = response.outputs.at(0).tensor.values<float>();
    if (values.size() == 4 && values[0] == value && values[3] == value + 3) right->fetch_add(1);
  }
}
Task<void> ask_from_many(BatchedModel* model, ThreadPool* pool, int callers, int requests,
                         std::atomic<int>* right) {
  Nursery nursery(*pool);
  for (int i = 0; i < callers; ++i) nursery.spawn(ask_many(model, requests, right));
  co_await nursery.join();
}

// Threads, lanes and batches of all sizes at once; every caller gets the rows it sent.
TEST(BatchedModelAllocation, EveryCallerGetsItsOwnRowsUnderLoad) {
  ThreadPool pool(3);
  BatchedModel model(engine::make_fake_model({}),
                     {.name = "load", .instances = 2, .batch = {.max_batch = 8}});
  std::atomic<int> right{0};
  sync_wait(ask_from_many(&model, &pool, 24, 400, &right));
  EXPECT_EQ(right.load(), 24 * 400);
  EXPECT_EQ(model.statistics().success.count, 24u * 400u);
}

}  // namespace
}  // namespace baozi::pipeline
