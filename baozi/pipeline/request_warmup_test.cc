#include "baozi/pipeline/request_warmup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baozi/base/error.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/engine/fake/fake_engine.h"
#include "baozi/pipeline/batched_model.h"
#include "baozi/pipeline/pipeline.h"

namespace baozi::pipeline {
namespace {

using namespace std::chrono_literals;
using model::SampleOrigin;
using model::WarmupReport;
using model::WarmupSample;
using testing::HasSubstr;

struct Twice {
  PipelineContext context;
};

// The model's answer to the input, asked for twice.
Task<Tensors> twice(std::shared_ptr<const Twice> self, Tensors inputs) {
  const std::shared_ptr<model::Servable> model = self->context.model("echo");
  Tensor once = co_await infer_on(model, get_tensor(inputs, "x"));
  Tensor again = co_await infer_on(model, std::move(once));
  co_return Tensors{{"y", std::move(again)}};
}

class RequestWarmupTest : public testing::Test {
 protected:
  void SetUp() override {
    engine::FakeOptions fake;
    fake.fail_value = 13;
    repository_.add(std::make_shared<BatchedModel>(
        engine::make_fake_model(fake), BatchedModelOptions{.name = "echo", .instances = 1}));
  }
  std::shared_ptr<model::Servable> pipeline(std::vector<Tensors> samples = {}) {
    PipelineContext context{.name = "twice", .cpu = &cpu_, .models = &repository_, .options = {}};
    PipelineSpec spec{.signature = {{{"x", DType::kFp32, {-1, 4}}}, {{"y", DType::kFp32, {-1, 4}}}},
                      .models = {"echo"},
                      .samples = std::move(samples)};
    return make_pipeline(context, std::move(spec), std::make_shared<const Twice>(context), &twice);
  }
  static Tensors row(float first) { return {{"x", Tensor::of<float>({1, 4}, {first, 1, 2, 3})}}; }

  ThreadPool cpu_{2, "cpu"};
  model::Repository repository_;
};

TEST_F(RequestWarmupTest, AsksWithThePipelinesOwnSamples) {
  const auto servable = pipeline({row(1), row(2)});
  std::vector<WarmupSample> samples = own_samples(*servable);
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[1].origin, SampleOrigin::kSynthesised);
  RequestWarmup warmup(servable, std::move(samples), {.budget = 10s});
  sync_wait(warmup.prove());
  const WarmupReport report = sync_wait(warmup.heat());
  EXPECT_EQ(report.cells, 2u);
  EXPECT_EQ(report.skipped, 0u);
  EXPECT_GE(report.runs, 12u);
}

TEST_F(RequestWarmupTest, WithoutAnyTheSignatureGivesThem) {
  const std::vector<WarmupSample> samples = own_samples(*pipeline());
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].inputs.front().tensor.shape(), (Shape{1, 4}));
}

TEST_F(RequestWarmupTest, NeitherItsStatisticsNorItsModelsCountIt) {
  const auto servable = pipeline({row(1)});
  RequestWarmup warmup(servable, own_samples(*servable), {.budget = 10s});
  sync_wait(warmup.prove());
  sync_wait(warmup.heat());
  EXPECT_EQ(servable->statistics().success.count, 0u);
  EXPECT_EQ(repository_.find("echo", "")->statistics().success.count, 0u);
  model::InferRequest request;
  request.inputs = row(1);
  sync_wait(servable->infer(std::move(request)));
  EXPECT_EQ(servable->statistics().success.count, 1u);
  EXPECT_EQ(repository_.find("echo", "")->statistics().success.count, 2u);
}

TEST_F(RequestWarmupTest, AGivenSampleThatFailsIsToldWithItsFile) {
  RequestWarmup warmup(pipeline(), {{.inputs = row(13), .from = "tea.json"}}, {});
  try {
    sync_wait(warmup.prove());
    FAIL() << "it was proved";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("warm-up, tea.json: row 0 begins with 13"));
  }
}

TEST_F(RequestWarmupTest, AGivenSampleThatDoesNotFitIsToldWithItsFile) {
  const Tensors wrong{{"x", Tensor::of<float>({1, 3}, {1, 2, 3})}};
  try {
    RequestWarmup warmup(pipeline(), {{.inputs = wrong, .from = "tea.json"}}, {});
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("warm-up, tea.json: tensor 'x' is FP32 [1,3]"));
  }
}

TEST_F(RequestWarmupTest, AnotherAnswerThanExpectedIsRefused) {
  RequestWarmup warmup(pipeline(),
                       {{.inputs = row(1),
                         .expected = {{"y", Tensor::of<float>({1, 4}, {1, 1, 2, 4})}},
                         .from = "tea.json"}},
                       {});
  EXPECT_THROW(sync_wait(warmup.prove()), Error);
}

TEST_F(RequestWarmupTest, WhatWasRecordedAndFailsIsLeftOut) {
  RequestWarmup warmup(pipeline(),
                       {{.inputs = row(13), .origin = SampleOrigin::kRecorded, .from = "old"},
                        {.inputs = row(1), .origin = SampleOrigin::kRecorded, .from = "old"}},
                       {.budget = 10s});
  sync_wait(warmup.prove());
  EXPECT_EQ(sync_wait(warmup.heat()).cells, 1u);
}

}  // namespace
}  // namespace baozi::pipeline
