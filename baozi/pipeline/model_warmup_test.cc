#include "baozi/pipeline/model_warmup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "baozi/base/error.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/engine/fake/fake_engine.h"
#include "baozi/model/warmup_synthesis.h"

namespace baozi::pipeline {
namespace {

using namespace std::chrono_literals;
using engine::FakeOptions;
using model::SampleOrigin;
using model::WarmupReport;
using model::WarmupSample;
using testing::ElementsAre;
using testing::HasSubstr;

WarmupSample sample(std::vector<float> values, std::int64_t rows = 1) {
  const Shape shape{rows, static_cast<std::int64_t>(values.size()) / rows};
  return {.inputs = {{"input", Tensor::of<float>(shape, std::span<const float>(values))}},
          .from = "tea.json"};
}

using Model = std::shared_ptr<BatchedModel>;

Task<void> ask(Model model, int times) {
  for (int i = 0; i < times; ++i) {
    model::InferRequest request;
    request.inputs = sample({1, 2, 3, 4}).inputs;
    co_await model->infer(std::move(request));
  }
}

// One batch of a warm-up's: how it ended, and whether requests were there then.
struct Tried {
  Code code = Code::kOk;
  bool while_busy = false;
  Duration took{};
};
Task<void> try_one(Model model, Tried* tried) {
  const Time begin = Clock::now();
  std::vector<Tensors> requests{sample({1, 2, 3, 4}).inputs};
  try {
    co_await model->run_on(0, std::move(requests));
  } catch (const Error& error) {
    tried->code = error.code();
  }
  tried->while_busy = model->busy();
  tried->took = Clock::now() - begin;
}

// So many callers that ask so often, and a warm-up's batch beside them if `tried` is given.
Task<void> ask_side_by_side(Model model, int callers, int times, Tried* tried) {
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  Nursery nursery(context, here);
  for (int i = 0; i < callers; ++i) nursery.spawn(ask(model, times));
  if (tried != nullptr) nursery.spawn(try_one(model, tried));
  co_await nursery.join();
}

// A fake model whose time is taken by a function of the test, which so sees every run.
class ModelWarmupTest : public testing::Test {
 protected:
  Model make(FakeOptions fake = {}, BatchedModelOptions options = {}) {
    fake.latency = 1ms;
    fake.latency_per_row = 1ms;
    fake.sleep = [this](Duration duration, const StopToken& stop) {
      throw_if_stopped(stop);
      const std::lock_guard lock(mutex_);
      if (duration < 1ms) return;  // loading
      rows_[std::this_thread::get_id()].push_back(static_cast<int>(duration / 1ms) - 1);
    };
    options.name = "warm";
    if (options.instances == 0) options.instances = 1;
    if (options.batch.max_batch == 32) options.batch.max_batch = 4;
    return std::make_shared<BatchedModel>(engine::make_fake_model(std::move(fake)), options);
  }

  static FakeOptions text() {
    FakeOptions fake;
    fake.signature.inputs = {{"ids", DType::kInt64, {-1, -1}, {"batch", "length"}}};
    fake.signature.outputs = {{"same", DType::kInt64, {-1, -1}, {"batch", "length"}}};
    return fake;
  }

  static std::string error_of(model::Warmup& warmup) {
    try {
      sync_wait(warmup.prove());
      sync_wait(warmup.heat());
    } catch (const Error& error) {
      return error.message();
    }
    return "";
  }

  std::mutex mutex_;
  std::map<std::thread::id, std::vector<int>> rows_;  // of the runs, by lane; guarded by mutex_
};

TEST_F(ModelWarmupTest, ProvingRunsTheFirstSynthesisedSampleOnce) {
  const auto model = make(text(), {.instances = 2, .pad = {{"ids", 0}}});
  ModelWarmup warmup(model, model::synthesise_samples(model->signature()), {});
  sync_wait(warmup.prove());
  ASSERT_EQ(rows_.size(), 1u);
  EXPECT_THAT(rows_.begin()->second, ElementsAre(1));
}

TEST_F(ModelWarmupTest, HeatingRunsEverySizeAndShapeOnEveryInstance) {
  const auto model = make(text(), {.instances = 2});
  ModelWarmup warmup(model, model::synthesise_samples(model->signature()), {.budget = 10s});
  sync_wait(warmup.prove());
  const WarmupReport report = sync_wait(warmup.heat());
  EXPECT_EQ(report.cells, 2u * 4u * 3u) << "instances × sizes × shapes";
  EXPECT_EQ(report.skipped, 0u);
  ASSERT_EQ(rows_.size(), 2u);
  for (const auto& [lane, rows] : rows_)
    EXPECT_EQ(std::set<int>(rows.begin(), rows.end()), (std::set<int>{1, 2, 3, 4}));
}

TEST_F(ModelWarmupTest, ClientsDoNotSeeItInStatistics) {
  const auto model = make();
  ModelWarmup warmup(model, model::synthesise_samples(model->signature()), {.budget = 10s});
  sync_wait(warmup.prove());
  sync_wait(warmup.heat());
  const model::Statistics statistics = model->statistics();
  EXPECT_EQ(statistics.inference_count, 0u);
  EXPECT_EQ(statistics.execution_count, 0u);
  EXPECT_EQ(statistics.success.count + statistics.fail.count, 0u);
  EXPECT_TRUE(statistics.batches.empty());
}

// Nine requests that come together: without warm-up the first batches would find out what pays.
TEST_F(ModelWarmupTest, TheBatcherKnowsWhatBatchesTakeFromTheFirstRequestOn) {
  FakeOptions fake;
  fake.latency = 2ms;  // of a batch of any size
  BatchedModelOptions options{.name = "warm", .instances = 1};
  options.batch.max_batch = 4;
  const auto model = std::make_shared<BatchedModel>(engine::make_fake_model(fake), options);
  ModelWarmup warmup(model, model::synthesise_samples(model->signature()), {.budget = 10s});
  sync_wait(warmup.prove());
  sync_wait(warmup.heat());
  sync_wait(ask_side_by_side(model, 9, 1, nullptr));
  const model::Statistics statistics = model->statistics();
  ASSERT_FALSE(statistics.batches.empty());
  EXPECT_EQ(statistics.batches.back().size, 4u);
  EXPECT_EQ(statistics.batches.back().compute_infer.count, 2u);
}

TEST_F(ModelWarmupTest, EveryGivenSampleIsProvedAndComparedInBatchesToo) {
  const auto model = make();
  WarmupSample first = sample({1, 2, 3, 4});
  first.expected = {{"output", Tensor::of<float>({1, 4}, {1, 2, 3, 4})}};
  WarmupSample second = sample({5, 6, 7, 8, 9, 10, 11, 12}, 2);
  second.expected = {{"output", Tensor::of<float>({2, 4}, {5, 6, 7, 8, 9, 10, 11, 12})}};
  ModelWarmup warmup(model, {first, second}, {.budget = 10s});
  EXPECT_EQ(error_of(warmup), "");
  second.expected = first.expected;
  ModelWarmup wrong(model, {first, second}, {.budget = 10s});
  EXPECT_THAT(error_of(wrong), HasSubstr("warm-up, tea.json: output 'output' is FP32 [2,4]"));
}

TEST_F(ModelWarmupTest, AWrongShapeNamesTheFileAndTheInput) {
  const auto model = make();
  try {
    ModelWarmup warmup(model, {sample({1, 2, 3})}, {});
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_EQ(error.message(),
              "warm-up, tea.json: tensor 'input' is FP32 [1,3], but the model wants FP32 "
              "[batch,4]");
  }
}

TEST_F(ModelWarmupTest, NanIsRefusedInFilesAndInNoise) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const SampleOrigin origin : {SampleOrigin::kGiven, SampleOrigin::kSynthesised}) {
    WarmupSample bad = sample({1, 2, nan, 4});  // comes back as it is
    bad.origin = origin;
    const auto model = make();
    ModelWarmup warmup(model, {bad}, {});
    EXPECT_EQ(error_of(warmup), "warm-up, tea.json: output 'output' has NaN at element 2");
  }
}

TEST_F(ModelWarmupTest, WhatTheEngineRefusesIsPassedOverUnlessItWasGiven) {
  FakeOptions fake;
  fake.fail_value = 7;
  const auto model = make(fake);
  WarmupSample bad = sample({7, 0, 0, 0});
  ModelWarmup given(model, {bad}, {});
  EXPECT_THAT(error_of(given), HasSubstr("warm-up, tea.json: row 0 begins with 7"));
  bad.origin = SampleOrigin::kRecorded;
  WarmupSample good = sample({1, 0, 0, 0});
  good.origin = SampleOrigin::kRecorded;
  ModelWarmup recorded(model, {bad, good}, {.budget = 10s});
  EXPECT_EQ(error_of(recorded), "");
}

TEST_F(ModelWarmupTest, AnEngineThatCanDoNothingWithNoiseIsServedAllTheSame) {
  FakeOptions fake;
  fake.fail_every = 1;
  const auto model = make(fake);
  ModelWarmup warmup(model, model::synthesise_samples(model->signature()), {.budget = 10s});
  sync_wait(warmup.prove());
  EXPECT_EQ(sync_wait(warmup.heat()).runs, 0u);
}

TEST_F(ModelWarmupTest, EndsWithItsBudget) {
  FakeOptions fake;
  fake.latency = 30ms;
  BatchedModelOptions options{.name = "slow", .instances = 2};
  const auto model = std::make_shared<BatchedModel>(engine::make_fake_model(fake), options);
  ModelWarmup warmup(model, model::synthesise_samples(model->signature()), {.budget = 100ms});
  const WarmupReport report = sync_wait(warmup.heat());
  EXPECT_GE(report.runs, 1u);
  EXPECT_GE(report.skipped, 1u);
}

TEST_F(ModelWarmupTest, ARunThatIsUnderWayWhenTheTimeIsOverIsStopped) {
  FakeOptions fake;
  fake.latency = 1h;
  BatchedModelOptions options{.name = "slow", .instances = 1};
  const auto model = std::make_shared<BatchedModel>(engine::make_fake_model(fake), options);
  ModelWarmup warmup(model, model::synthesise_samples(model->signature()), {.budget = 20ms});
  EXPECT_EQ(sync_wait(warmup.heat()).runs, 0u);
}

TEST_F(ModelWarmupTest, NoiseIsNotWaitedForLongerThanTheBudget) {
  FakeOptions fake;
  fake.latency = 1h;
  BatchedModelOptions options{.name = "slow", .instances = 1};
  options.batch.max_batch = 4;
  const auto model = std::make_shared<BatchedModel>(engine::make_fake_model(fake), options);
  ModelWarmup warmup(model, model::synthesise_samples(model->signature()), {.budget = 20ms});
  sync_wait(warmup.prove());
  const WarmupReport report = sync_wait(warmup.heat());
  EXPECT_EQ(report.runs, 0u);
  EXPECT_EQ(report.skipped, 4u);
}

TEST_F(ModelWarmupTest, AStopEndsIt) {
  FakeOptions fake;
  fake.latency = 1h;
  BatchedModelOptions options{.name = "slow", .instances = 1};
  const auto model = std::make_shared<BatchedModel>(engine::make_fake_model(fake), options);
  ModelWarmup warmup(model, model::synthesise_samples(model->signature()), {.budget = 1h});
  StopSource stop;
  std::thread stopper([&stop] {
    std::this_thread::sleep_for(20ms);
    stop.request_stop();
  });
  const Context context{.stop = stop.token()};
  try {
    sync_wait(warmup.prove(), context);
    ADD_FAILURE() << "it was proved";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCancelled);
  }
  stopper.join();
}

TEST_F(ModelWarmupTest, ProgressRisesToOne) {
  const auto model = make();
  std::vector<double> told;
  ModelWarmup warmup(model, model::synthesise_samples(model->signature()),
                     {.budget = 10s, .progress = [&told](double now) { told.push_back(now); }});
  sync_wait(warmup.prove());
  sync_wait(warmup.heat());
  ASSERT_FALSE(told.empty());
  EXPECT_TRUE(std::ranges::is_sorted(told));
  EXPECT_EQ(told.back(), 1.0);
}

// Batches that follow each other without a pause do not keep a warm-up from being told so.
TEST_F(ModelWarmupTest, UnderLoadAWarmUpGivesWayAtOnce) {
  FakeOptions fake;
  fake.latency = 1ms;
  BatchedModelOptions options{.name = "busy", .instances = 1};
  options.batch.max_batch = 1;
  const auto model = std::make_shared<BatchedModel>(engine::make_fake_model(fake), options);
  Tried tried;
  sync_wait(ask_side_by_side(model, 4, 50, &tried));
  EXPECT_EQ(tried.code, Code::kAborted);
  EXPECT_TRUE(tried.while_busy);
  EXPECT_EQ(model->statistics().success.count, 200u);
}

Task<void> ask_later(Model model, Tried* tried) {
  co_await sleep_for(20ms);
  EXPECT_EQ(tried->took, Duration::zero()) << "the trial still runs";
  co_await ask(model, 1);
}

Task<void> ask_behind(Model model, Tried* tried) {
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  Nursery nursery(context, here);
  nursery.spawn(try_one(model, tried));
  nursery.spawn(ask_later(model, tried));
  co_await nursery.join();
}

TEST_F(ModelWarmupTest, ARequestInterruptsAWarmUpsRun) {
  std::atomic<int> runs{0};
  FakeOptions fake;
  fake.latency = 1h;
  fake.sleep = [&runs](Duration, const StopToken& stop) {
    if (runs++ != 1) return;  // loading, and the request's
    while (!stop.stop_requested()) std::this_thread::sleep_for(1ms);
    throw_if_stopped(stop);
  };
  BatchedModelOptions options{.name = "slow", .instances = 1};
  const auto model = std::make_shared<BatchedModel>(engine::make_fake_model(fake), options);
  Tried tried;
  sync_wait(ask_behind(model, &tried));
  EXPECT_EQ(tried.code, Code::kAborted);
  EXPECT_EQ(model->statistics().success.count, 1u);
}

Task<void> ask_while_proved(Model model, ModelWarmup* warmup) {
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  Nursery nursery(context, here);
  Tried none;
  nursery.spawn(warmup->prove());
  nursery.spawn(ask_later(model, &none));
  co_await nursery.join();
}

TEST_F(ModelWarmupTest, ARequestThatInterruptsAProofIsNotTheSamplesFault) {
  for (const model::SampleOrigin origin :
       {model::SampleOrigin::kSynthesised, model::SampleOrigin::kGiven}) {
    std::atomic<int> runs{0};
    FakeOptions fake;
    fake.sleep = [&runs](Duration, const StopToken& stop) {
      if (runs++ != 1) return;  // loading, and what follows the interrupted proof
      while (!stop.stop_requested()) std::this_thread::sleep_for(1ms);
      throw_if_stopped(stop);
    };
    BatchedModelOptions options{.name = "slow", .instances = 1};
    const auto model = std::make_shared<BatchedModel>(engine::make_fake_model(fake), options);
    WarmupSample one = sample({1, 2, 3, 4});
    one.origin = origin;
    ModelWarmup warmup(model, {one}, {.budget = 10s});
    sync_wait(ask_while_proved(model, &warmup));
    // Loading, the proof, the request; what was given is tried again, noise is not.
    EXPECT_EQ(runs, origin == model::SampleOrigin::kGiven ? 4 : 3);
    EXPECT_EQ(model->statistics().success.count, 1u);
    EXPECT_GT(sync_wait(warmup.heat()).cells, 0u);
  }
}

// A model in parts: it is there, and runs wait until the rest of it is, or never will be.
class HalfLoadedModel final : public engine::Model {
 public:
  enum class End { kThere, kNever };
  HalfLoadedModel(Duration time, End end)
      : whole_(engine::make_fake_model({})), there_at_(Clock::now() + time), end_(end) {}

  const engine::Signature& signature() const noexcept override { return whole_->signature(); }
  engine::Capabilities capabilities() const noexcept override { return whole_->capabilities(); }
  std::size_t memory_bytes() const noexcept override { return 0; }
  const std::map<std::string, std::string>& metadata() const noexcept override {
    return whole_->metadata();
  }
  bool loaded() const noexcept override { return end_ == End::kThere && Clock::now() >= there_at_; }
  void await_loaded(StopToken stop) override {
    while (Clock::now() < there_at_) {
      throw_if_stopped(stop);
      std::this_thread::sleep_for(1ms);
    }
  }
  std::unique_ptr<engine::Instance> create_instance(Allocator& allocator) override {
    return std::make_unique<Run>(*this, whole_->create_instance(allocator));
  }

 private:
  struct Run final : engine::Instance {
    Run(HalfLoadedModel& its, std::unique_ptr<engine::Instance> rest)
        : model(its), instance(std::move(rest)) {}
    void run(std::span<const Tensor> inputs, std::span<Tensor> outputs, StopToken stop) override {
      model.await_loaded(stop);
      if (model.end_ == End::kNever) throw Error(Code::kInvalidArgument, "its second part is none");
      instance->run(inputs, outputs, stop);
    }
    HalfLoadedModel& model;
    const std::unique_ptr<engine::Instance> instance;
  };

  const std::shared_ptr<engine::Model> whole_;
  const Time there_at_;
  const End end_;
};

ModelWarmup warmup_of(HalfLoadedModel::End end) {
  auto loading = std::make_shared<HalfLoadedModel>(60ms, end);
  BatchedModelOptions options;
  options.name = "half";
  options.instances = 1;
  auto served = std::make_shared<BatchedModel>(std::move(loading), std::move(options));
  std::vector<WarmupSample> samples = model::synthesise_samples(served->signature());
  return ModelWarmup(std::move(served), std::move(samples), {.budget = 20ms});
}

TEST(ModelWarmup, TheBudgetIsNotSpentOnWaitingForTheRestOfAModel) {
  ModelWarmup warmup = warmup_of(HalfLoadedModel::End::kThere);
  sync_wait(warmup.prove());
  EXPECT_GT(sync_wait(warmup.heat()).runs, 0);
}

TEST(ModelWarmup, WhatCannotBeLoadedToItsEndIsNotProved) {
  ModelWarmup warmup = warmup_of(HalfLoadedModel::End::kNever);
  try {
    sync_wait(warmup.prove());
    ADD_FAILURE() << "it was proved";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("second part"));
  }
}

}  // namespace
}  // namespace baozi::pipeline
