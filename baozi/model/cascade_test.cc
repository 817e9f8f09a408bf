#include "baozi/model/cascade.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/base/metrics.h"
#include "baozi/coro/sync_wait.h"

namespace baozi::model {
namespace {

using engine::Signature;
using testing::ElementsAre;
using testing::HasSubstr;

const Signature kClassifier{
    {{"x", DType::kFp32, {-1, 2}}},
    {{"probabilities", DType::kFp32, {-1, 2}}, {"class", DType::kInt64, {-1}}}};

// As sure of each row as the row's first value says.
class Classifier final : public Servable {
 public:
  explicit Classifier(std::string name, Signature signature = kClassifier)
      : name_(std::move(name)), signature_(std::move(signature)) {}
  const std::string& name() const noexcept override { return name_; }
  const std::string& version() const noexcept override { return version_; }
  std::string_view platform() const noexcept override { return "test"; }
  const Signature& signature() const noexcept override { return signature_; }
  const std::vector<std::string>& labels() const noexcept override { return labels_of_it; }
  bool ready() const noexcept override { return true; }
  Statistics statistics() const override { return {}; }
  std::optional<Refusal> refusal() const noexcept override { return full; }
  Task<InferResponse> infer(InferRequest request) override {
    ++runs;
    if (failure != Code::kOk) throw Error(failure, name_ + " exploded");
    const Tensor& x = get_tensor(request.inputs, "x");
    std::vector<float> scores;
    std::vector<std::int64_t> classes;
    for (std::int64_t row = 0; row < x.shape()[0]; ++row) {
      const float sure = x.values<float>()[static_cast<std::size_t>(2 * row)];
      scores.push_back(sure);
      scores.push_back(1 - sure);
      classes.push_back(0);
    }
    const Tensors all{{"probabilities", Tensor::of<float>(x.shape(), scores)},
                      {"class", Tensor::of<std::int64_t>({x.shape()[0]}, classes)}};
    InferResponse response{request.model, version_, request.id, {}, {}};
    for (const NamedTensor& output : all) {
      const auto& wanted = request.outputs;
      if (wanted.empty() || std::ranges::find(wanted, output.name) != wanted.end())
        response.outputs.push_back(output);
    }
    co_return response;
  }

  std::vector<std::string> labels_of_it;
  std::optional<Refusal> full;
  Code failure = Code::kOk;
  std::atomic<int> runs{0};

 private:
  const std::string name_;
  const std::string version_ = "7";
  const Signature signature_;
};

InferRequest ask(std::vector<float> sure, std::vector<std::string> outputs = {}) {
  std::vector<float> values;
  for (const float each : sure) values.insert(values.end(), {each, 0});
  InferRequest request;
  request.id = "id";
  request.outputs = std::move(outputs);
  request.inputs.push_back(
      {"x", Tensor::of<float>({static_cast<std::int64_t>(sure.size()), 2}, values)});
  return request;
}

std::string speaker(const InferResponse& response) {
  return std::get<std::string>(response.parameters.at("answered_by"));
}

Error error_of(auto&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return Error(Code::kOk, "nothing was thrown");
}

class CascadeTest : public testing::Test {
 protected:
  CascadeTest() {
    for (const char* name : {"little", "big"})
      repository_.set_status({.name = name, .version = "7", .state = State::kAbsent});
    repository_.on_wanted([this](const std::string& name, const std::string& version) {
      wanted_.push_back(name + "/" + version);
    });
  }

  void add_small() { repository_.add(small_); }
  void add_large() { repository_.add(large_); }
  std::unique_ptr<Cascade> make(CascadeOptions options = {}) {
    options.name = "both";
    options.small = "little";
    options.large = "big";
    return std::make_unique<Cascade>(options, repository_);
  }
  static CascadeOptions sure_from(double threshold) {
    return {.threshold = threshold, .output = "probabilities"};
  }
  static InferResponse infer(Cascade& cascade, InferRequest request) {
    return sync_wait(cascade.infer(std::move(request)));
  }

  Repository repository_;
  std::vector<std::string> wanted_;
  std::shared_ptr<Classifier> small_ = std::make_shared<Classifier>("little");
  std::shared_ptr<Classifier> large_ = std::make_shared<Classifier>("big");
};

TEST_F(CascadeTest, TheSmallOneAnswersUntilTheLargeOneIsThere) {
  add_small();
  const auto cascade = make();
  const InferResponse first = infer(*cascade, ask({0.5F}));
  EXPECT_EQ(speaker(first), "little");
  EXPECT_EQ(std::get<std::string>(first.parameters.at("cascade")), "small");
  EXPECT_EQ(first.model, "both");
  EXPECT_EQ(first.version, "1");
  EXPECT_EQ(first.id, "id");
  EXPECT_THAT(wanted_, ElementsAre("big/7"));
  add_large();
  const InferResponse second = infer(*cascade, ask({0.99F}));
  EXPECT_EQ(speaker(second), "big");
  EXPECT_EQ(std::get<std::string>(second.parameters.at("cascade")), "large");
  EXPECT_EQ(small_->runs, 1);
  EXPECT_EQ(wanted_.size(), 1u);
}

TEST_F(CascadeTest, EveryRowMustBeSureElseTheLargeOneIsAsked) {
  add_small();
  add_large();
  const auto cascade = make(sure_from(0.8));
  EXPECT_EQ(speaker(infer(*cascade, ask({0.9F, 0.8F}))), "little");
  EXPECT_EQ(speaker(infer(*cascade, ask({0.9F, 0.79F}))), "big");
  EXPECT_EQ(speaker(infer(*cascade, ask({0.1F}))), "little") << "the other class is sure";
  EXPECT_EQ(large_->runs, 1);
}

TEST_F(CascadeTest, WhoIsSureNeedsNoLargeOneAndLoadsNone) {
  add_small();
  const auto cascade = make(sure_from(0.8));
  EXPECT_EQ(speaker(infer(*cascade, ask({0.9F}))), "little");
  EXPECT_TRUE(wanted_.empty());
  EXPECT_EQ(speaker(infer(*cascade, ask({0.5F}))), "little") << "there is nobody else";
  EXPECT_THAT(wanted_, ElementsAre("big/7"));
}

TEST_F(CascadeTest, OnlyTheWantedOutputsAreGiven) {
  add_small();
  const auto cascade = make(sure_from(0.8));
  const InferResponse response = infer(*cascade, ask({0.9F}, {"class"}));
  ASSERT_EQ(response.outputs.size(), 1u);
  EXPECT_EQ(response.outputs[0].name, "class");
}

TEST_F(CascadeTest, TheLargeOneAloneAnswersToo) {
  add_large();
  const auto cascade = make(sure_from(0.8));
  EXPECT_EQ(speaker(infer(*cascade, ask({0.5F}))), "big");
}

TEST_F(CascadeTest, AnErrorOfTheLargeOneIsGiven) {
  add_small();
  add_large();
  large_->failure = Code::kInternal;
  const auto cascade = make();
  const Error error = error_of([&] { infer(*cascade, ask({0.5F})); });
  EXPECT_EQ(error.code(), Code::kInternal);
  EXPECT_THAT(error.message(), HasSubstr("big exploded"));
  EXPECT_EQ(cascade->statistics().fail.count, 1u);
}

TEST_F(CascadeTest, WhereTheLargeOneFailsTheSmallOneMayAnswer) {
  add_small();
  add_large();
  large_->failure = Code::kInternal;
  const auto cascade = make({.fall_back = true});
  EXPECT_EQ(speaker(infer(*cascade, ask({0.5F}))), "little");
  const auto choosy = make({.threshold = 0.8, .output = "probabilities", .fall_back = true});
  EXPECT_EQ(speaker(infer(*choosy, ask({0.5F}))), "little");
  EXPECT_EQ(small_->runs, 2) << "what it answered, unsure, is given";
  large_->failure = Code::kInvalidArgument;
  EXPECT_EQ(error_of([&] { infer(*cascade, ask({0.5F})); }).code(), Code::kInvalidArgument)
      << "the client's mistake";
}

TEST_F(CascadeTest, AnErrorOfTheSmallOneAsksTheLargeOne) {
  add_small();
  small_->failure = Code::kResourceExhausted;
  const auto cascade = make(sure_from(0.8));
  EXPECT_EQ(error_of([&] { infer(*cascade, ask({0.9F})); }).code(), Code::kResourceExhausted);
  add_large();
  EXPECT_EQ(speaker(infer(*cascade, ask({0.9F}))), "big");
  small_->failure = Code::kDeadlineExceeded;
  EXPECT_EQ(error_of([&] { infer(*cascade, ask({0.9F})); }).code(), Code::kDeadlineExceeded);
}

TEST_F(CascadeTest, WithoutEitherBothAreWantedAndNothingIsMade) {
  EXPECT_THROW(make(), NotReady);
  EXPECT_THAT(wanted_, ElementsAre("little/7", "big/7"));
}

TEST_F(CascadeTest, WhenBothHaveGoneItSaysWhenTheyAreBack) {
  add_small();
  const auto cascade = make();
  repository_.set_status({.name = "little", .version = "7", .state = State::kDraining});
  repository_.set_status({.name = "little", .version = "7", .state = State::kUnloaded});
  try {
    infer(*cascade, ask({0.5F}));
    ADD_FAILURE();
  } catch (const NotReady& error) {
    EXPECT_TRUE(error.coming());
    EXPECT_EQ(error.status().name, "big");
  }
}

TEST_F(CascadeTest, ModelsThatCannotAnswerForEachOtherAreRefused) {
  const auto refused = [this](Signature signature) {
    repository_.add(std::make_shared<Classifier>("big", std::move(signature)));
    return error_of([this] { make(); }).message();
  };
  add_small();
  Signature other = kClassifier;
  other.inputs[0].name = "y";
  EXPECT_THAT(refused(other), HasSubstr("the inputs of one are: x; of the other: y"));
  other = kClassifier;
  other.outputs[1].dtype = DType::kInt32;
  EXPECT_THAT(refused(other), HasSubstr("output 'class' of one is INT64 [-1], of the other INT32"));
  other = kClassifier;
  other.inputs[0].shape = {-1, 3};
  EXPECT_THAT(refused(other), HasSubstr("input 'x'"));
  other = kClassifier;
  other.outputs.pop_back();
  EXPECT_THAT(refused(other), HasSubstr("outputs"));
  other = kClassifier;
  other.inputs[0].shape = {4, 2};
  EXPECT_THAT(refused(other), HasSubstr("nothing was thrown")) << "a free size takes a fixed one";
}

TEST_F(CascadeTest, ClassNamesMustBeTheSame) {
  add_small();
  add_large();
  small_->labels_of_it = {"bun", "tea"};
  EXPECT_THAT(make()->labels(), ElementsAre("bun", "tea"));
  large_->labels_of_it = {"tea", "bun"};
  EXPECT_THAT(error_of([this] { make(); }).message(), HasSubstr("class names"));
}

TEST_F(CascadeTest, AModelThatComesAnewAndDoesNotFitIsAnError) {
  add_small();
  add_large();
  const auto cascade = make();
  Signature other = kClassifier;
  other.inputs[0].dtype = DType::kFp64;
  repository_.add(std::make_shared<Classifier>("big", other));
  const Error error = error_of([&] { infer(*cascade, ask({0.5F})); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("does not fit cascade 'both' any more"));
}

TEST_F(CascadeTest, AThresholdNeedsAnOutputOfProbabilities) {
  add_small();
  EXPECT_NO_THROW(make({.threshold = 0.5})) << "only one may be";
  EXPECT_THAT(error_of([this] { make({.threshold = 0.5, .output = "class"}); }).message(),
              HasSubstr("but 'class' is none; 'little' has: probabilities, class"));
}

TEST_F(CascadeTest, ScoresThatAreNoProbabilitiesAskTheLargeOne) {
  add_small();
  add_large();
  EXPECT_EQ(speaker(infer(*make(sure_from(0.8)), ask({9}))), "big");
  EXPECT_EQ(speaker(infer(*make({.threshold = 0.8, .logits = true}), ask({9}))), "little");
}

TEST_F(CascadeTest, ItIsFullWhenWhoeverMayAnswerIs) {
  add_small();
  small_->full = Refusal{"full", 4};
  const auto cascade = make();
  const auto choosy = make(sure_from(0.8));
  EXPECT_EQ(cascade->refusal()->retry_after_s, 4);
  add_large();
  EXPECT_FALSE(cascade->refusal());
  large_->full = Refusal{"full", 9};
  EXPECT_EQ(choosy->refusal()->retry_after_s, 9);
  small_->full.reset();
  EXPECT_EQ(cascade->refusal()->retry_after_s, 9);
  EXPECT_FALSE(choosy->refusal());
}

TEST_F(CascadeTest, WithinAnotherTheModelItselfIsNamed) {
  add_small();
  const auto inner = std::make_shared<Cascade>(
      CascadeOptions{.name = "inner", .small = "little", .large = "big"}, repository_);
  repository_.add(inner);
  Cascade outer({.name = "outer", .small = "inner", .large = "big"}, repository_);
  const InferResponse response = infer(outer, ask({0.5F}));
  EXPECT_EQ(response.model, "outer");
  EXPECT_EQ(speaker(response), "little");
}

TEST_F(CascadeTest, CountingGoesOnInItsNextForm) {
  add_small();
  const auto first = make();
  infer(*first, ask({0.5F}));
  add_large();
  Cascade second({.name = "both", .small = "little", .large = "big"}, repository_, first.get());
  infer(second, ask({0.5F}));
  EXPECT_EQ(second.statistics().success.count, 2u);
  EXPECT_THAT(
      metrics::render(),
      HasSubstr(R"(baozi_cascade_answers_total{cascade="both",model="big",reason="asked"})"));
}

TEST_F(CascadeTest, WholeAnswersAreTheLargeOnesWhenItIsThere) {
  add_small();
  const auto cascade = make();
  EXPECT_EQ(cascade->peek(), small_);
  EXPECT_TRUE(wanted_.empty());
  EXPECT_EQ(cascade->choose(), small_);
  EXPECT_THAT(wanted_, ElementsAre("big/7"));
  add_large();
  EXPECT_EQ(cascade->choose(), large_);
}

}  // namespace
}  // namespace baozi::model
