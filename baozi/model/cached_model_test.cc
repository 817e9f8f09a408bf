#include "baozi/model/cached_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "baozi/base/error.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/coro/with_deadline.h"

namespace baozi::model {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// Doubles "x" when its gate is open, and counts.
class Doubler final : public Servable {
 public:
  explicit Doubler(std::string version = "1") : version_(std::move(version)) {}
  const std::string& name() const noexcept override { return name_; }
  const std::string& version() const noexcept override { return version_; }
  std::string_view platform() const noexcept override { return "test"; }
  const engine::Signature& signature() const noexcept override { return signature_; }
  const std::vector<std::string>& labels() const noexcept override { return labels_; }
  bool ready() const noexcept override { return true; }
  Statistics statistics() const override {
    Statistics statistics;
    statistics.success = {static_cast<std::uint64_t>(runs.load()), 1000};
    return statistics;
  }
  std::optional<Refusal> refusal() const noexcept override { return Refusal{"full", 3}; }
  Task<InferResponse> infer(InferRequest request) override {
    ++runs;
    try {
      co_await gate.wait();
    } catch (const Error&) {
      ++stopped;
      throw;
    }
    if (!failure.empty()) throw Error(Code::kInternal, failure);
    InferResponse response{request.model, version_, request.id, {}, {}};
    const float x = get_tensor(request.inputs, "x").values<float>()[0];
    response.outputs.push_back({"y", Tensor::of<float>({1}, {2 * x})});
    response.outputs.push_back({"z", Tensor::of<float>({1}, {x})});
    co_return response;
  }

  Event gate{true};
  std::string failure;
  std::atomic<int> runs{0};
  std::atomic<int> stopped{0};

 private:
  const std::string name_ = "doubler";
  const std::string version_;
  engine::Signature signature_;
  std::vector<std::string> labels_;
};

InferRequest ask_for(float x, std::string id = "") {
  InferRequest request;
  request.inputs.push_back({"x", Tensor::of<float>({1}, {x})});
  request.id = std::move(id);
  return request;
}

float y_of(const InferResponse& response) {
  return get_tensor(response.outputs, "y").values<float>()[0];
}

class CachedModelTest : public testing::Test {
 protected:
  CachedModelTest() {
    cache_.announce("1", "digest");
    model_ = std::make_shared<CachedModel>(inner_, cache_);
  }
  ~CachedModelTest() override { sync_wait(caches_.join()); }

  InferResponse infer(InferRequest request) { return sync_wait(model_->infer(std::move(request))); }

  ThreadPool cpu_{2, "cpu"};
  ResponseCaches caches_{{.bytes_max = 1 << 20}, cpu_};
  ModelCache& cache_ = caches_.add("doubler", {.ttl = 1h});
  std::shared_ptr<Doubler> inner_ = std::make_shared<Doubler>();
  std::shared_ptr<CachedModel> model_;
};

TEST_F(CachedModelTest, AnswersAgainWithoutRunning) {
  const InferResponse first = infer(ask_for(3, "a"));
  EXPECT_EQ(y_of(first), 6);
  EXPECT_FALSE(first.age);
  const InferResponse second = infer(ask_for(3, "b"));
  EXPECT_EQ(y_of(second), 6);
  EXPECT_EQ(second.id, "b");
  EXPECT_EQ(second.model, "doubler");
  EXPECT_EQ(second.version, "1");
  EXPECT_TRUE(second.age);
  EXPECT_EQ(inner_->runs, 1);
  EXPECT_EQ(y_of(infer(ask_for(4))), 8);
  EXPECT_EQ(inner_->runs, 2);
}

TEST_F(CachedModelTest, AHitCopiesNothing) {
  infer(ask_for(3));
  const InferResponse one = infer(ask_for(3));
  const InferResponse two = infer(ask_for(3));
  EXPECT_EQ(one.outputs[0].tensor.data().data(), two.outputs[0].tensor.data().data());
}

TEST_F(CachedModelTest, OutputsComeInTheAskersOrder) {
  InferRequest request = ask_for(3);
  request.outputs = {"z", "y"};
  EXPECT_EQ(infer(request).outputs[0].name, "z");
  EXPECT_EQ(infer(request).outputs[0].name, "z");
  request.outputs = {"y", "z"};
  EXPECT_EQ(infer(request).outputs[0].name, "y");
  EXPECT_EQ(inner_->runs, 1);
}

TEST_F(CachedModelTest, DoesWhatCacheControlSays) {
  infer(ask_for(3));
  InferRequest none = ask_for(3);
  none.cache = CacheWish::kNone;
  EXPECT_FALSE(infer(none).age);
  InferRequest refresh = ask_for(3);
  refresh.cache = CacheWish::kRefresh;
  EXPECT_FALSE(infer(refresh).age);
  EXPECT_EQ(inner_->runs, 3);
  EXPECT_TRUE(infer(ask_for(3)).age);
  refresh = ask_for(5);
  refresh.cache = CacheWish::kRefresh;
  infer(refresh);
  EXPECT_TRUE(infer(ask_for(5)).age) << "it was kept";
  none = ask_for(6);
  none.cache = CacheWish::kNone;
  infer(none);
  EXPECT_FALSE(infer(ask_for(6)).age) << "it was not";
}

TEST_F(CachedModelTest, TenantsShareNothing) {
  infer(ask_for(3));
  InferRequest other = ask_for(3);
  other.tenant = "other";
  EXPECT_FALSE(infer(other).age);
  EXPECT_TRUE(infer(other).age);
}

TEST_F(CachedModelTest, IsNeverFull) {
  EXPECT_TRUE(inner_->refusal());
  EXPECT_FALSE(model_->refusal());
}

TEST_F(CachedModelTest, CountsInKservesStatistics) {
  infer(ask_for(3));
  infer(ask_for(3));
  infer(ask_for(3));
  const Statistics statistics = model_->statistics();
  EXPECT_EQ(statistics.cache_hit.count, 2u);
  EXPECT_GT(statistics.cache_hit.ns, 0u);
  EXPECT_EQ(statistics.cache_miss.count, 1u);
  EXPECT_EQ(statistics.success.count, 3u);
}

TEST_F(CachedModelTest, AnErrorIsGivenAndNotKept) {
  inner_->failure = "broken";
  EXPECT_THROW(infer(ask_for(3)), Error);
  inner_->failure.clear();
  EXPECT_EQ(y_of(infer(ask_for(3))), 6);
  EXPECT_EQ(inner_->runs, 2);
}

// Asks, and notes what came of it.
struct Outcomes {
  std::atomic<int> right{0}, failed{0}, late{0}, cancelled{0};
};

Task<void> ask(std::shared_ptr<CachedModel> model, float x, Outcomes* outcomes, Time deadline) {
  try {
    Task<InferResponse> asking = model->infer(ask_for(x));
    if (deadline != kNever) asking = with_deadline(std::move(asking), deadline);
    const InferResponse response = co_await std::move(asking);
    if (y_of(response) == 2 * x) ++outcomes->right;
  } catch (const Error& error) {
    if (error.code() == Code::kDeadlineExceeded)
      ++outcomes->late;
    else if (error.code() == Code::kCancelled)
      ++outcomes->cancelled;
    else
      ++outcomes->failed;
  }
}

Task<void> until(auto done) {
  while (!done()) co_await sleep_for(1ms);
}

Task<void> many(std::shared_ptr<CachedModel> model, Doubler* inner, Outcomes* outcomes,
                Executor* cpu) {
  const Context& context = co_await this_context();
  Nursery askers(context, *cpu);
  for (int i = 0; i < 1000; ++i) askers.spawn(ask(model, 3, outcomes, kNever));
  co_await until([&] { return model->statistics().cache_miss.count == 1000; });
  inner->gate.set();
  co_await askers.join();
}

TEST_F(CachedModelTest, AThousandAtOnceRunItOnce) {
  inner_->gate.reset();
  Outcomes outcomes;
  sync_wait(many(model_, inner_.get(), &outcomes, &cpu_));
  EXPECT_EQ(outcomes.right, 1000);
  EXPECT_EQ(inner_->runs, 1);
  EXPECT_EQ(model_->statistics().success.count, 1000u);
}

TEST_F(CachedModelTest, AnErrorGoesToAllWhoJoined) {
  inner_->gate.reset();
  inner_->failure = "broken";
  Outcomes outcomes;
  sync_wait(many(model_, inner_.get(), &outcomes, &cpu_));
  EXPECT_EQ(outcomes.failed, 1000);
  EXPECT_EQ(inner_->runs, 1);
}

// The first one, who started the run, leaves; the second one gets his answer all the same.
Task<void> first_leaves(std::shared_ptr<CachedModel> model, Doubler* inner, Outcomes* outcomes,
                        Executor* cpu) {
  const Context& context = co_await this_context();
  Nursery first(context, *cpu);
  Nursery second(context, *cpu);
  first.spawn(ask(model, 3, outcomes, kNever));
  co_await until([&] { return inner->runs == 1; });
  second.spawn(ask(model, 3, outcomes, kNever));
  co_await until([&] { return model->statistics().cache_miss.count == 2; });
  first.stop();
  co_await first.join();
  inner->gate.set();
  co_await second.join();
}

TEST_F(CachedModelTest, WhoLeavesDoesNotEndItForOthers) {
  inner_->gate.reset();
  Outcomes outcomes;
  sync_wait(first_leaves(model_, inner_.get(), &outcomes, &cpu_));
  EXPECT_EQ(outcomes.cancelled, 1);
  EXPECT_EQ(outcomes.right, 1);
  EXPECT_EQ(inner_->runs, 1);
  EXPECT_EQ(inner_->stopped, 0);
}

Task<void> all_leave(std::shared_ptr<CachedModel> model, Doubler* inner, Outcomes* outcomes,
                     Executor* cpu) {
  const Context& context = co_await this_context();
  Nursery askers(context, *cpu);
  askers.spawn(ask(model, 3, outcomes, Clock::now() + 20ms));
  askers.spawn(ask(model, 3, outcomes, Clock::now() + 40ms));
  co_await askers.join();
  co_await until([&] { return inner->stopped == 1; });
  inner->gate.set();
  // Whoever comes now starts anew.
  co_await ask(model, 3, outcomes, kNever);
}

TEST_F(CachedModelTest, TheLastToLeaveEndsIt) {
  inner_->gate.reset();
  Outcomes outcomes;
  sync_wait(all_leave(model_, inner_.get(), &outcomes, &cpu_));
  EXPECT_EQ(outcomes.late, 2);
  EXPECT_EQ(outcomes.right, 1);
  EXPECT_EQ(inner_->stopped, 1);
  EXPECT_EQ(inner_->runs, 2);
}

TEST_F(CachedModelTest, AHitIsServedWhileTheModelIsAbsent) {
  infer(ask_for(3));
  model_.reset();
  inner_.reset();
  ModelCache* cache = caches_.find("doubler");
  ASSERT_NE(cache, nullptr);
  InferRequest request = ask_for(3, "late");
  request.model = "doubler";
  const std::optional<InferResponse> kept = sync_wait(cache->find(request));
  ASSERT_TRUE(kept);
  EXPECT_EQ(y_of(*kept), 6);
  EXPECT_EQ(kept->id, "late");
  EXPECT_EQ(kept->version, "1") << "no version means the one there was";
  EXPECT_TRUE(kept->age);
  request.version = "1";
  EXPECT_TRUE(sync_wait(cache->find(request)));
  request.version = "2";
  EXPECT_FALSE(sync_wait(cache->find(request)));
  request.version = "";
  request.cache = CacheWish::kRefresh;
  EXPECT_FALSE(sync_wait(cache->find(request)));
  EXPECT_FALSE(sync_wait(cache->find(ask_for(4))));
}

TEST_F(CachedModelTest, OtherContentOtherAnswers) {
  infer(ask_for(3));
  cache_.announce("1", "other digest");
  const auto reloaded = std::make_shared<CachedModel>(inner_, cache_);
  EXPECT_FALSE(sync_wait(reloaded->infer(ask_for(3))).age);
  EXPECT_EQ(inner_->runs, 2);
}

TEST_F(CachedModelTest, TheHighestVersionIsTheLatest) {
  cache_.announce("9", "nine");
  cache_.announce("10", "ten");
  const auto ten = std::make_shared<CachedModel>(std::make_shared<Doubler>("10"), cache_);
  sync_wait(ten->infer(ask_for(3)));
  EXPECT_EQ(sync_wait(cache_.find(ask_for(3)))->version, "10");
  cache_.forget("10");
  EXPECT_FALSE(sync_wait(cache_.find(ask_for(3))));
}

TEST_F(CachedModelTest, AVersionThatIsNotAnnouncedIsRefused) {
  try {
    CachedModel(std::make_shared<Doubler>("7"), cache_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    EXPECT_THAT(error.message(), HasSubstr("announce"));
  }
}

TEST(ModelCache, WhatHasExpiredIsComputedAnew) {
  ThreadPool cpu(1, "cpu");
  ResponseCaches caches({.bytes_max = 1 << 20}, cpu);
  ModelCache& cache = caches.add("doubler", {.ttl = 1ns});
  cache.announce("1", "digest");
  const auto inner = std::make_shared<Doubler>();
  const auto model = std::make_shared<CachedModel>(inner, cache);
  sync_wait(model->infer(ask_for(3)));
  sync_wait(model->infer(ask_for(3)));
  EXPECT_EQ(inner->runs, 2);
  sync_wait(caches.join());
}

}  // namespace
}  // namespace baozi::model
