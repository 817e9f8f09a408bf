#include "baozi/pipeline/instance_scaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "baozi/base/error.h"
#include "baozi/base/metrics.h"
#include "baozi/coro/lane.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/engine/fake/fake_engine.h"
#include "baozi/model/warmup_synthesis.h"

namespace baozi::pipeline {
namespace {

using namespace std::chrono_literals;
using engine::FakeOptions;
using testing::HasSubstr;
using Model = std::shared_ptr<BatchedModel>;

model::WarmupSample sample() {
  const std::vector<float> values{1, 2, 3, 4};
  return {.inputs = {{"input", Tensor::of<float>(Shape{1, 4}, std::span<const float>(values))}},
          .from = "tea.json"};
}

class Budget final : public InstanceMemory {
 public:
  explicit Budget(std::size_t bytes) : bytes_(bytes) {}

  std::size_t free() const override {
    const std::lock_guard lock(mutex_);
    return bytes_ - held_;
  }
  bool take(const BatchedModel&, std::size_t bytes) override {
    const std::lock_guard lock(mutex_);
    if (bytes > held_ && bytes > bytes_) return false;
    held_ = bytes;
    most_ = std::max(most_, held_);
    return true;
  }
  std::size_t held() const {
    const std::lock_guard lock(mutex_);
    return held_;
  }
  std::size_t most() const {
    const std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  const std::size_t bytes_;
  mutable std::mutex mutex_;
  std::size_t held_ = 0;  // guarded by mutex_, as is:
  std::size_t most_ = 0;
};

struct Tally {
  std::atomic<bool> stop{false};
  std::atomic<int> answered{0};
  std::atomic<int> failed{0};
  std::atomic<Duration::rep> slowest{0};
};

Task<void> keep_asking(Model model, Tally* tally) {
  while (!tally->stop) {
    model::InferRequest request;
    request.inputs = sample().inputs;
    const Time begun = Clock::now();
    try {
      co_await model->infer(std::move(request));
      ++tally->answered;
    } catch (const Error&) {
      ++tally->failed;
    }
    tally->slowest = std::max(tally->slowest.load(), (Clock::now() - begun).count());
  }
}

Task<void> join(Nursery* nursery) { co_await nursery->join(); }

// A scaler on its lane and a fake model that it scales.
class InstanceScalerTest : public testing::Test {
 protected:
  ~InstanceScalerTest() override {
    stop_asking();
    end_scaler();
  }

  Model make(FakeOptions fake, int max, std::size_t budget = SIZE_MAX, Duration idle = 300ms) {
    memory_.emplace(budget);
    scaler_ = std::make_unique<InstanceScaler>(*memory_);
    nursery_.emplace(lane_);
    nursery_->spawn(scaler_->run());
    model_ = std::make_shared<BatchedModel>(
        engine::make_fake_model(std::move(fake)),
        BatchedModelOptions{
            .name = "bun", .instances = 1, .instances_max = max, .batch = {.max_batch = 1}});
    memory_->take(*model_, model_->memory_bytes());
    add(idle);
    return model_;
  }
  void add(Duration idle) {
    scaler_->add({.model = model_,
                  .samples = {sample()},
                  .limits = {.budget = 100ms},
                  .grow_after = 100ms,
                  .shrink_after = idle});
  }
  void ask(int callers) {
    asking_.emplace(pool_);
    tally_.stop = false;
    for (int i = 0; i < callers; ++i) asking_->spawn(keep_asking(model_, &tally_));
  }
  void stop_asking() {
    tally_.stop = true;
    if (asking_) sync_wait(join(&*asking_));
    asking_.reset();
  }
  void end_scaler() {
    if (!nursery_) return;
    nursery_->stop();
    try {
      sync_wait(join(&*nursery_));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kCancelled) << error.message();
    }
    nursery_.reset();
  }
  bool reaches(int instances, Duration patience = 20s) {
    for (const Time end = Clock::now() + patience; Clock::now() < end;) {
      if (model_->instances() == instances) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }

  std::optional<Budget> memory_;
  Lane lane_{"instances"};
  ThreadPool pool_{2};
  std::unique_ptr<InstanceScaler> scaler_;
  Model model_;
  Tally tally_;
  std::optional<Nursery> nursery_;
  std::optional<Nursery> asking_;
};

TEST_F(InstanceScalerTest, GrowsUnderLoadAndShrinksAfterIt) {
  make({.latency = 10ms}, 4);
  ask(8);
  ASSERT_TRUE(reaches(4));
  EXPECT_THAT(metrics::render(), HasSubstr("baozi_instances{model=\"bun\"} 4"));
  EXPECT_THAT(metrics::render(), HasSubstr("baozi_instances_max{model=\"bun\"} 4"));
  stop_asking();
  ASSERT_TRUE(reaches(1));
  EXPECT_EQ(tally_.failed, 0);
  EXPECT_EQ(model_->statistics().success.count, static_cast<std::uint64_t>(tally_.answered));
  ask(8);
  EXPECT_TRUE(reaches(4)) << "and again";
}

TEST_F(InstanceScalerTest, ANewInstanceIsWarmBeforeItTakesWork) {
  // A second in the first run of each instance, which is no request's.
  FakeOptions fake{.latency = 10ms};
  fake.first_run = 1s;
  make(fake, 3);
  model::InferRequest request;
  request.inputs = sample().inputs;
  sync_wait(model_->infer(std::move(request)));  // that of the first instance
  end_scaler();
  nursery_.emplace(lane_);
  nursery_->spawn(scaler_->run());
  scaler_->add({.model = model_,
                .samples = {sample()},
                .limits = {.budget = 5s},
                .grow_after = 100ms,
                .shrink_after = 30s});
  ask(6);
  ASSERT_TRUE(reaches(3));
  std::this_thread::sleep_for(200ms);
  stop_asking();
  EXPECT_LT(tally_.slowest, Duration(900ms).count());
}

TEST_F(InstanceScalerTest, MemoryBoundsItAndIsGivenBack) {
  FakeOptions fake{.latency = 10ms};
  fake.memory_bytes = 1000;
  fake.instance_bytes = 100;
  make(fake, 4, 1250);
  ask(8);
  ASSERT_TRUE(reaches(3));
  std::this_thread::sleep_for(500ms);
  EXPECT_EQ(model_->instances(), 3);
  EXPECT_EQ(model_->memory_bytes(), 1200u);
  EXPECT_EQ(memory_->held(), 1200u);
  EXPECT_LE(memory_->most(), 1250u);
  stop_asking();
  ASSERT_TRUE(reaches(1));
  end_scaler();
  EXPECT_EQ(memory_->held(), 1000u);
}

TEST_F(InstanceScalerTest, GoesOnWithThoseThatCouldBeMade) {
  FakeOptions fake{.latency = 10ms};
  fake.instance_bytes = 100;
  fake.instances_max = 2;
  make(fake, 4, 10'000);
  ask(8);
  ASSERT_TRUE(reaches(2));
  std::this_thread::sleep_for(500ms);
  EXPECT_EQ(model_->instances(), 2);
  stop_asking();
  end_scaler();
  EXPECT_EQ(memory_->held(), model_->memory_bytes()) << "what failed holds nothing";
  EXPECT_EQ(tally_.failed, 0);
}

TEST_F(InstanceScalerTest, AnswersWhileASlowInstanceIsMade) {
  FakeOptions fake{.latency = 5ms};
  fake.instance_time = 300ms;
  make(fake, 2);
  ask(4);
  ASSERT_TRUE(reaches(2));
  stop_asking();
  EXPECT_LT(tally_.slowest, Duration(200ms).count());
  EXPECT_EQ(tally_.failed, 0);
}

TEST_F(InstanceScalerTest, EndsWhileOneIsInTheMaking) {
  FakeOptions fake{.latency = 5ms};
  fake.instance_time = 300ms;
  fake.instance_bytes = 100;
  make(fake, 4, 10'000);
  ask(4);
  while (memory_->held() == model_->memory_bytes()) std::this_thread::sleep_for(1ms);
  end_scaler();
  EXPECT_EQ(memory_->held(), model_->memory_bytes());
  stop_asking();
}

TEST_F(InstanceScalerTest, AModelThatIsForgottenStaysAsItIs) {
  make({.latency = 5ms}, 4);
  ask(8);
  ASSERT_TRUE(reaches(2));
  scaler_->forget("bun", "1");
  std::this_thread::sleep_for(300ms);  // one may have been in the making
  const int instances = model_->instances();
  stop_asking();
  std::this_thread::sleep_for(600ms);
  EXPECT_EQ(model_->instances(), instances);
}

TEST_F(InstanceScalerTest, KeepsNoModelAlive) {
  make({.latency = 5ms}, 4);
  ask(8);
  ASSERT_TRUE(reaches(2));
  stop_asking();
  const std::weak_ptr<BatchedModel> left = model_;
  model_.reset();
  for (const Time end = Clock::now() + 20s; !left.expired() && Clock::now() < end;)
    std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(left.expired());
  EXPECT_THAT(metrics::render(), HasSubstr("baozi_instances{model=\"bun\"} 0"));
}

TEST_F(InstanceScalerTest, OneOfAFixedNumberIsLeftAlone) {
  make({.latency = 5ms}, 1);
  ask(8);
  std::this_thread::sleep_for(500ms);
  EXPECT_EQ(model_->instances(), 1);
}

}  // namespace
}  // namespace baozi::pipeline
