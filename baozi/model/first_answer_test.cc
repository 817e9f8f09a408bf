#include "baozi/model/first_answer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"

namespace baozi::model {
namespace {

// Holds every request until the test lets it go; then says what the request is: "x".
class Held final : public Servable {
 public:
  const std::string& name() const noexcept override { return name_; }
  const std::string& version() const noexcept override { return version_; }
  std::string_view platform() const noexcept override { return "test"; }
  const engine::Signature& signature() const noexcept override { return signature_; }
  const std::vector<std::string>& labels() const noexcept override { return labels_; }
  bool ready() const noexcept override { return true; }
  Statistics statistics() const override { return {}; }
  Task<InferResponse> infer(InferRequest request) override {
    Event& gate = gates.emplace_back();
    co_await gate.wait();
    if (request.id == "broken") throw Error(Code::kInternal, "the run failed");
    InferResponse response{request.model, version_, request.id, {}, {}};
    const Tensor& x = get_tensor(request.inputs, "x");
    response.outputs.push_back({"y", x});
    if (request.outputs.empty()) response.outputs.push_back({"z", x});
    co_return response;
  }

  std::deque<Event> gates;  // one a request that came here

 private:
  const std::string name_ = "held";
  const std::string version_ = "1";
  const engine::Signature signature_{{{"x", DType::kFp32, {1}}},
                                     {{"y", DType::kFp32, {1}}, {"z", DType::kFp32, {1}}}};
  const std::vector<std::string> labels_;
};

using Outcomes = std::vector<std::string>;

Task<void> ask(std::shared_ptr<FirstAnswer> first, std::string id, float x, bool all,
               Outcomes* outcomes) {
  InferRequest request;
  request.id = id;
  request.inputs.push_back({"x", Tensor::of<float>({1}, {x})});
  if (!all) request.outputs = {"y"};
  std::string outcome = id + ": ";
  try {
    Task<InferResponse> asking = first->infer(std::move(request));
    const InferResponse response = co_await std::move(asking);
    outcome += response.id;
  } catch (const Error& error) {
    outcome += error.message();
  }
  outcomes->push_back(std::move(outcome));
}

Task<void> watch(std::shared_ptr<FirstAnswer> first, Outcomes* outcomes) {
  Task<bool> proving = first->proved();
  const bool proved = co_await std::move(proving);
  outcomes->push_back(proved ? "proved" : "not proved");
}

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// Everything runs on one thread: whatever can go on has then gone on.
Task<void> settle_down() {
  for (int i = 0; i < 50; ++i) co_await yield();
}

struct Scene {
  std::shared_ptr<Held> held = std::make_shared<Held>();
  std::shared_ptr<FirstAnswer> first = std::make_shared<FirstAnswer>(held);
  Outcomes outcomes = {};

  Task<void> asking(std::string id, float x = 1, bool all = true) {
    return ask(first, std::move(id), x, all, &outcomes);
  }
  void let_go(std::size_t request) { held->gates.at(request).set(); }
};

using Play = Task<void> (*)(Scene* scene, Nursery* requests);

Task<void> stage(Scene* scene, Play play) {
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  Nursery requests(context, here);
  Task<void> playing = play(scene, &requests);
  co_await std::move(playing);
  co_await requests.join();
}

Outcomes run(Play play) {
  Scene scene;
  sync_wait(stage(&scene, play));
  return scene.outcomes;
}

Task<void> wait_for_one(std::shared_ptr<FirstAnswer> first, Outcomes* outcomes) {
  Task<bool> coming = first->came();
  const bool came = co_await std::move(coming);
  outcomes->push_back(came ? "somebody came" : "nobody came");
}

Task<void> who_comes_is_waited_for(Scene* scene, Nursery* requests) {
  requests->spawn(wait_for_one(scene->first, &scene->outcomes));
  co_await settle_down();
  EXPECT_TRUE(scene->outcomes.empty());
  requests->spawn(scene->asking("a"));
  co_await settle_down();
  EXPECT_EQ(scene->outcomes, Outcomes{"somebody came"});
  scene->let_go(0);
}

TEST(FirstAnswer, WhoComesIsWaitedFor) {
  EXPECT_EQ(run(who_comes_is_waited_for), (Outcomes{"somebody came", "a: a"}));
}

Task<void> one_proves_for_all(Scene* scene, Nursery* requests) {
  requests->spawn(scene->asking("a"));
  requests->spawn(scene->asking("b"));
  requests->spawn(watch(scene->first, &scene->outcomes));
  co_await settle_down();
  EXPECT_EQ(scene->held->gates.size(), 1u) << "the others wait";
  EXPECT_TRUE(scene->outcomes.empty());
  scene->let_go(0);
  co_await settle_down();
  EXPECT_EQ(scene->held->gates.size(), 2u);
  scene->let_go(1);
  requests->spawn(scene->asking("c"));
  co_await settle_down();
  scene->let_go(2);
}

TEST(FirstAnswer, OneProvesForAll) {
  EXPECT_EQ(run(one_proves_for_all), (Outcomes{"a: a", "proved", "b: b", "c: c"}));
}

Task<void> an_error_proves_nothing(Scene* scene, Nursery* requests) {
  requests->spawn(scene->asking("broken"));
  requests->spawn(scene->asking("b"));
  requests->spawn(watch(scene->first, &scene->outcomes));
  co_await settle_down();
  scene->let_go(0);
  co_await settle_down();
  if (scene->held->gates.size() > 1) scene->let_go(1);
  co_await settle_down();
  scene->first->settle(nullptr);
  co_await settle_down();
  for (Event& gate : scene->held->gates) gate.set();
}

TEST(FirstAnswer, AnErrorProvesNothing) {
  const Outcomes outcomes = run(an_error_proves_nothing);
  ASSERT_EQ(outcomes.size(), 3u);
  EXPECT_EQ(outcomes[0], "broken: the run failed");
  EXPECT_TRUE(std::ranges::find(outcomes, "b: b") != outcomes.end());
}

// It may be the request's own: whoever has samples says whether it is.
Task<void> a_nan_waits_and_is_given(Scene* scene, Nursery* requests) {
  requests->spawn(scene->asking("a", kNaN));
  co_await settle_down();
  scene->let_go(0);
  co_await settle_down();
  EXPECT_TRUE(scene->outcomes.empty());
  requests->spawn(watch(scene->first, &scene->outcomes));
  co_await settle_down();
  EXPECT_EQ(scene->outcomes, Outcomes{"not proved"});
  requests->spawn(scene->asking("b"));
  co_await settle_down();
  EXPECT_EQ(scene->held->gates.size(), 1u) << "it is left to the one who asked";
  scene->first->settle(nullptr);
  co_await settle_down();
  EXPECT_EQ(scene->held->gates.size(), 2u);
  scene->let_go(1);
}

TEST(FirstAnswer, ANaNWaitsAndIsGiven) {
  EXPECT_EQ(run(a_nan_waits_and_is_given), (Outcomes{"not proved", "a: a", "b: b"}));
}

Task<void> nothing_wrong_is_given(Scene* scene, Nursery* requests) {
  requests->spawn(scene->asking("a", kNaN));
  requests->spawn(scene->asking("b", kNaN));
  co_await settle_down();
  scene->let_go(0);
  co_await settle_down();
  EXPECT_EQ(scene->held->gates.size(), 2u) << "the next one tries";
  scene->let_go(1);
  co_await settle_down();
  EXPECT_TRUE(scene->outcomes.empty());
  scene->first->settle(std::make_exception_ptr(Error(Code::kUnavailable, "it is wrong")));
  requests->spawn(scene->asking("c"));
}

TEST(FirstAnswer, NothingWrongIsGiven) {
  EXPECT_EQ(run(nothing_wrong_is_given),
            (Outcomes{"a: it is wrong", "b: it is wrong", "c: it is wrong"}));
}

Task<void> a_part_proves_nothing(Scene* scene, Nursery* requests) {
  requests->spawn(scene->asking("a", 1, false));
  co_await settle_down();
  scene->let_go(0);
  co_await settle_down();
  EXPECT_TRUE(scene->outcomes.empty());
  requests->spawn(scene->asking("b"));
  co_await settle_down();
  scene->let_go(1);
}

TEST(FirstAnswer, APartOfTheOutputsProvesNothing) {
  const Outcomes outcomes = run(a_part_proves_nothing);
  EXPECT_EQ(outcomes.size(), 2u);
}

Task<void> who_leaves_hands_over(Scene* scene, Nursery* requests) {
  Executor& here = co_await this_executor();
  Nursery leaving(here);
  leaving.spawn(scene->asking("a"));
  co_await settle_down();
  requests->spawn(scene->asking("b"));
  co_await settle_down();
  EXPECT_EQ(scene->held->gates.size(), 1u);
  leaving.stop();
  co_await leaving.join();
  co_await settle_down();
  EXPECT_EQ(scene->held->gates.size(), 2u);
  scene->let_go(1);
}

TEST(FirstAnswer, WhoLeavesHandsOver) {
  const Outcomes outcomes = run(who_leaves_hands_over);
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(outcomes[1], "b: b");
}

TEST(FirstAnswer, LateWordsChangeNothing) {
  Scene scene;
  scene.first->settle(nullptr);
  scene.first->settle(std::make_exception_ptr(Error(Code::kUnavailable, "too late")));
  EXPECT_TRUE(sync_wait(scene.first->proved()));
}

}  // namespace
}  // namespace baozi::model
