#include "baozi/pipeline/batched_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>

#include "baozi/base/error.h"
#include "baozi/base/metrics.h"
#include "baozi/coro/burst.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/coro/with_deadline.h"

namespace baozi::pipeline {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

// An instance whose runs wait at a gate, and which notes the rows of every batch. Doubles its
// input.
struct Script {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = true;  // guarded by mutex, like the rest
  std::vector<std::int64_t> batches;
  std::vector<Shape> shapes;
  int running = 0;
  int stopped = 0;
  float bad_value = -1;       // a batch that holds it fails
  bool whole_output = false;  // gives one row whatever it got

  void set_open(bool value) {
    const std::lock_guard lock(mutex);
    open = value;
    changed.notify_all();
  }
  void wait_running(int count) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return running >= count; });
  }
  std::vector<std::int64_t> seen() {
    const std::lock_guard lock(mutex);
    return batches;
  }
};

class ScriptInstance final : public engine::Instance {
 public:
  ScriptInstance(Script& script, Allocator& allocator) : script_(script), allocator_(allocator) {}

  void run(std::span<const Tensor> inputs, std::span<Tensor> outputs, StopToken stop) override {
    const Tensor& input = inputs[0];
    {
      std::unique_lock lock(script_.mutex);
      script_.batches.push_back(input.shape().rank() > 0 ? input.shape()[0] : 0);
      script_.shapes.push_back(input.shape());
      ++script_.running;
      script_.changed.notify_all();
      while (!script_.open && !stop.stop_requested()) script_.changed.wait_for(lock, 1ms);
      --script_.running;
      if (stop.stop_requested()) {
        ++script_.stopped;
        throw stopped_error(stop.reason());
      }
    }
    for (const float value : input.values<float>()) {
      if (value == script_.bad_value) throw Error(Code::kInvalidArgument, "a bad row");
    }
    Tensor output = Tensor::allocate(DType::kFp32, input.shape(), allocator_);
    const auto from = input.values<float>();
    const auto to = output.mutable_values<float>();
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = 2 * from[i];
    outputs[0] = script_.whole_output ? output.rows(0, 1) : std::move(output);
  }

 private:
  Script& script_;
  Allocator& allocator_;
};

class ScriptModel final : public engine::Model {
 public:
  ScriptModel(Script& script, Shape shape) : script_(script) {
    const std::vector<std::string> names{"batch", "length", "", "", "", "", "", ""};
    signature_.inputs.push_back(
        {"x", DType::kFp32, shape, {names.begin(), names.begin() + long(shape.rank())}});
    signature_.outputs.push_back(
        {"y", DType::kFp32, shape, {names.begin(), names.begin() + long(shape.rank())}});
  }
  const engine::Signature& signature() const noexcept override { return signature_; }
  engine::Capabilities capabilities() const noexcept override { return {.interruptible = true}; }
  std::size_t memory_bytes() const noexcept override { return 0; }
  const std::map<std::string, std::string>& metadata() const noexcept override { return metadata_; }
  std::unique_ptr<engine::Instance> create_instance(Allocator& allocator) override {
    return std::make_unique<ScriptInstance>(script_, allocator);
  }

 private:
  Script& script_;
  engine::Signature signature_;
  std::map<std::string, std::string> metadata_;
};

struct Outcome {
  Code code = Code::kUnknown;
  std::string message;
  std::vector<float> values;
  Shape shape;
};

Task<void> ask(BatchedModel* model, model::InferRequest request, Outcome* outcome) {
  try {
    model::InferResponse response = co_await model->infer(std::move(request));
    const Tensor& y = get_tensor(response.outputs, "y");
    outcome->code = Code::kOk;
    outcome->values.assign(y.values<float>().begin(), y.values<float>().end());
    outcome->shape = y.shape();
  } catch (const Error& error) {
    outcome->code = error.code();
    outcome->message = error.message();
  }
}

model::InferRequest request_of(Shape shape, std::vector<float> values) {
  model::InferRequest request;
  request.inputs.push_back({"x", Tensor::of<float>(shape, std::span<const float>(values))});
  return request;
}
model::InferRequest row(float value) { return request_of({1, 1}, {value}); }

class BatchedModelTest : public testing::Test {
 protected:
  BatchedModel& make(BatchedModelOptions options = {}, Shape shape = {-1, 1}) {
    options.name = "scripted";
    if (options.instances == 0) options.instances = 1;
    model_ = std::make_unique<BatchedModel>(std::make_shared<ScriptModel>(script_, shape),
                                            std::move(options));
    return *model_;
  }

  // Runs the requests at once, in order: the first blocks the only instance until the others are
  // queued.
  std::vector<Outcome> run_behind_first(std::vector<model::InferRequest> requests) {
    script_.set_open(false);
    std::vector<Outcome> outcomes(requests.size());
    Nursery nursery(pool_);
    nursery.spawn(ask(model_.get(), std::move(requests[0]), &outcomes[0]));
    script_.wait_running(1);
    for (std::size_t i = 1; i < requests.size(); ++i) {
      nursery.spawn(ask(model_.get(), std::move(requests[i]), &outcomes[i]));
      while (model_queue() < i) std::this_thread::yield();
    }
    script_.set_open(true);
    sync_wait(join(&nursery));
    return outcomes;
  }
  static Task<void> within(const Context* context, Task<void> task) {
    co_await std::move(task).with_context(*context);
  }
  static Task<void> join(Nursery* nursery) { co_await nursery->join(); }
  std::size_t model_queue() const {
    const std::string text = metrics::render();
    const std::string key = "baozi_queue_length{model=\"scripted\"} ";
    const std::size_t at = text.find(key);
    return at == std::string::npos
               ? 0
               : static_cast<std::size_t>(std::stod(text.substr(at + key.size())));
  }
  Outcome ask_alone(model::InferRequest request, const Context& context = {}) {
    Outcome outcome;
    sync_wait(ask(model_.get(), std::move(request), &outcome), context);
    return outcome;
  }

  Script script_;
  ThreadPool pool_{2};
  std::unique_ptr<BatchedModel> model_;
};

Task<void> ask_all(BatchedModel* model, int count, std::vector<Outcome>* outcomes) {
  const Context& context = co_await this_context();
  Executor& executor = co_await this_executor();
  outcomes->resize(static_cast<std::size_t>(count));
  Nursery nursery(context, executor);
  for (Outcome& outcome : *outcomes) nursery.spawn(ask(model, row(1), &outcome));
  co_await nursery.join();
}

// Without a delay the first would run alone.
TEST_F(BatchedModelTest, WhatABurstOfEventsBringsRunsTogether) {
  make({.batch = {.policy = BatchPolicy::kFixedDelay, .max_delay = Duration::zero()}});
  std::vector<Outcome> outcomes;
  {
    const Burst burst;  // sync_wait ends it when nothing else is left to do
    sync_wait(ask_all(model_.get(), 5, &outcomes));
  }
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.code, Code::kOk) << outcome.message;
  EXPECT_EQ(script_.seen(), std::vector<std::int64_t>{5});
}

TEST_F(BatchedModelTest, AnswersOneRequest) {
  make();
  const Outcome outcome = ask_alone(row(3));
  EXPECT_EQ(outcome.code, Code::kOk) << outcome.message;
  EXPECT_THAT(outcome.values, ElementsAre(6));
  EXPECT_EQ(model_->statistics().success.count, 1u);
}

TEST_F(BatchedModelTest, JoinsWhatWaitedAndGivesEachItsRows) {
  make({.batch = {.policy = BatchPolicy::kFixedDelay, .max_batch = 8}});
  std::vector<model::InferRequest> requests;
  requests.push_back(request_of({8, 1}, {9, 9, 9, 9, 9, 9, 9, 9}));
  requests.push_back(row(1));
  requests.push_back(request_of({2, 1}, {2, 3}));
  requests.push_back(request_of({5, 1}, {4, 5, 6, 7, 8}));
  const std::vector<Outcome> outcomes = run_behind_first(std::move(requests));
  EXPECT_THAT(script_.seen(), ElementsAre(8, 8));
  EXPECT_THAT(outcomes[1].values, ElementsAre(2));
  EXPECT_THAT(outcomes[2].values, ElementsAre(4, 6));
  EXPECT_THAT(outcomes[3].values, ElementsAre(8, 10, 12, 14, 16));
  const model::Statistics statistics = model_->statistics();
  EXPECT_EQ(statistics.inference_count, 16u);
  EXPECT_EQ(statistics.execution_count, 2u);
  ASSERT_EQ(statistics.batches.size(), 1u);
  EXPECT_EQ(statistics.batches[0].compute_infer.count, 2u);
}

TEST_F(BatchedModelTest, PadsToTheLongestAndCutsTheOutputBack) {
  make({.batch = {.policy = BatchPolicy::kFixedDelay, .max_batch = 2}, .pad = {{"x", 7.0}}},
       {-1, -1});
  std::vector<model::InferRequest> requests;
  requests.push_back(request_of({2, 1}, {9, 9}));
  requests.push_back(request_of({1, 3}, {1, 2, 3}));
  requests.push_back(request_of({1, 3}, {4, 5, 6}));
  requests.push_back(request_of({1, 5}, {1, 2, 3, 4, 5}));
  requests.push_back(request_of({1, 6}, {1, 2, 3, 4, 5, 6}));
  const std::vector<Outcome> outcomes = run_behind_first(std::move(requests));
  const std::vector<Shape> shapes = script_.shapes;
  ASSERT_EQ(shapes.size(), 3u);
  EXPECT_EQ(shapes[1], (Shape{2, 3}));
  EXPECT_EQ(shapes[2], (Shape{2, 6}));
  EXPECT_EQ(outcomes[3].shape, (Shape{1, 5}));
  EXPECT_THAT(outcomes[3].values, ElementsAre(2, 4, 6, 8, 10));
  EXPECT_THAT(outcomes[4].values, ElementsAre(2, 4, 6, 8, 10, 12));
}

TEST_F(BatchedModelTest, OneBadRowDoesNotFailItsNeighbours) {
  make({.batch = {.policy = BatchPolicy::kFixedDelay, .max_batch = 3}});
  std::vector<model::InferRequest> requests;
  requests.push_back(request_of({3, 1}, {9, 9, 9}));
  for (const float value : {1.0F, -1.0F, 3.0F}) requests.push_back(row(value));
  const std::vector<Outcome> outcomes = run_behind_first(std::move(requests));
  EXPECT_THAT(script_.seen(), ElementsAre(3, 3, 1, 1, 1));
  EXPECT_THAT(outcomes[1].values, ElementsAre(2));
  EXPECT_EQ(outcomes[2].code, Code::kInvalidArgument);
  EXPECT_EQ(outcomes[2].message, "a bad row");
  EXPECT_THAT(outcomes[3].values, ElementsAre(6));
}

TEST_F(BatchedModelTest, AnOutputWithoutABatchsRowsIsRunOneByOne) {
  script_.whole_output = true;
  make({.batch = {.policy = BatchPolicy::kFixedDelay, .max_batch = 2}});
  std::vector<model::InferRequest> requests;
  requests.push_back(request_of({2, 1}, {9, 9}));
  requests.push_back(row(1));
  requests.push_back(row(2));
  const std::vector<Outcome> outcomes = run_behind_first(std::move(requests));
  EXPECT_THAT(outcomes[1].values, ElementsAre(2));
  EXPECT_THAT(outcomes[2].values, ElementsAre(4));
}

TEST_F(BatchedModelTest, RefusesAtOnceWhenTheQueueIsFull) {
  make({.batch = {.queue_max = 2}});
  script_.set_open(false);
  std::vector<Outcome> outcomes(3);
  Nursery nursery(pool_);
  nursery.spawn(ask(model_.get(), row(0), &outcomes[0]));
  script_.wait_running(1);
  EXPECT_FALSE(model_->refusal().has_value());
  nursery.spawn(ask(model_.get(), row(1), &outcomes[1]));
  nursery.spawn(ask(model_.get(), row(2), &outcomes[2]));
  while (model_queue() < 2) std::this_thread::yield();
  ASSERT_TRUE(model_->refusal().has_value());
  EXPECT_GE(model_->refusal()->retry_after_s, 1);
  EXPECT_EQ(ask_alone(row(3)).code, Code::kResourceExhausted);
  script_.set_open(true);
  sync_wait(join(&nursery));
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.code, Code::kOk);
}

TEST_F(BatchedModelTest, AStoppedRequestLeavesTheQueueAtOnce) {
  make();
  script_.set_open(false);
  Outcome first;
  Outcome second;
  Nursery nursery(pool_);
  nursery.spawn(ask(model_.get(), row(1), &first));
  script_.wait_running(1);
  StopSource source;
  const Context context{source.token(), kNever, nullptr};
  std::thread stopper([&] {
    while (model_queue() < 1) std::this_thread::yield();
    source.request_stop(Code::kCancelled);
  });
  sync_wait(ask(model_.get(), row(2), &second), context);
  stopper.join();
  EXPECT_EQ(second.code, Code::kCancelled);
  EXPECT_EQ(model_queue(), 0u);
  script_.set_open(true);
  sync_wait(join(&nursery));
  EXPECT_EQ(first.code, Code::kOk);
  EXPECT_THAT(script_.seen(), ElementsAre(1));
}

TEST_F(BatchedModelTest, ADeadlineEndsTheWaitWithOrWithoutAStopToken) {
  make();
  script_.set_open(false);
  Outcome first;
  Nursery nursery(pool_);
  nursery.spawn(ask(model_.get(), row(1), &first));
  script_.wait_running(1);
  const Context bare{{}, Clock::now() + 5ms, nullptr};
  EXPECT_EQ(ask_alone(row(2), bare).code, Code::kDeadlineExceeded);
  Outcome bounded;
  Task<void> task = ask(model_.get(), row(2), &bounded);
  EXPECT_THROW(sync_wait(with_deadline(std::move(task), Clock::now() + 5ms)), Error);
  EXPECT_EQ(bounded.code, Code::kDeadlineExceeded);
  script_.set_open(true);
  sync_wait(join(&nursery));
}

TEST_F(BatchedModelTest, ABatchIsEndedEarlyOnlyWhenAllItsRequestsHaveStopped) {
  make({.batch = {.policy = BatchPolicy::kFixedDelay, .max_batch = 2, .max_delay = 10s}});
  script_.set_open(false);
  StopSource sources[2];
  const Context contexts[2] = {{sources[0].token(), kNever, nullptr},
                               {sources[1].token(), kNever, nullptr}};
  Outcome outcomes[2];
  Nursery nursery(pool_);
  for (int i = 0; i < 2; ++i) {
    nursery.spawn(within(&contexts[i], ask(model_.get(), row(1), &outcomes[i])));
  }
  script_.wait_running(1);
  EXPECT_THAT(script_.seen(), ElementsAre(2));
  sources[0].request_stop(Code::kCancelled);
  std::this_thread::sleep_for(5ms);
  {
    const std::lock_guard lock(script_.mutex);
    EXPECT_EQ(script_.stopped, 0);
    EXPECT_EQ(script_.running, 1);
  }
  sources[1].request_stop(Code::kCancelled);
  sync_wait(join(&nursery));
  EXPECT_EQ(script_.stopped, 1);
  EXPECT_THAT(script_.seen(), ElementsAre(2))
      << "nothing is run again for requests that have stopped";
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.code, Code::kCancelled);
}

TEST_F(BatchedModelTest, ChecksInputsPrecisely) {
  make({.batch = {.max_batch = 4}});
  model::InferRequest none;
  EXPECT_EQ(ask_alone(none).code, Code::kInvalidArgument);
  model::InferRequest twice = row(1);
  twice.inputs.push_back(twice.inputs[0]);
  EXPECT_THAT(ask_alone(twice).message, HasSubstr("'x' is given twice"));
  model::InferRequest extra = row(1);
  extra.inputs.push_back({"z", Tensor::of<float>({1}, {1})});
  EXPECT_THAT(ask_alone(extra).message, HasSubstr("'z' is not one of the model's"));
  EXPECT_THAT(ask_alone(request_of({1, 2}, {1, 2})).message, HasSubstr("[1,2]"));
  EXPECT_THAT(ask_alone(request_of({0, 1}, {})).message, HasSubstr("no rows"));
  EXPECT_THAT(ask_alone(request_of({5, 1}, {1, 2, 3, 4, 5})).message, HasSubstr("at most 4"));
  model::InferRequest wanted = row(1);
  wanted.outputs = {"q"};
  EXPECT_THAT(ask_alone(wanted).message, HasSubstr("no output 'q'"));
  EXPECT_TRUE(script_.seen().empty());
}

}  // namespace
}  // namespace baozi::pipeline
