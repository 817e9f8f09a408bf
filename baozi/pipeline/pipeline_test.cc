#include "baozi/pipeline/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baozi/base/error.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/pipeline/plugin.h"

namespace baozi::pipeline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

engine::Signature one_in_one_out() {
  engine::Signature signature;
  signature.inputs.push_back({"x", DType::kFp32, {-1}, {}});
  signature.outputs.push_back({"y", DType::kFp32, {-1}, {}});
  return signature;
}

Tensor floats(std::initializer_list<float> values) {
  return Tensor::of<float>({static_cast<std::int64_t>(values.size())}, values);
}

// Adds a constant, on the CPU pool.
struct Adder {
  float amount = 0;
};
Task<Tensors> add_amount(std::shared_ptr<const Adder> self, Tensors inputs) {
  Executor& here = co_await this_executor();
  if (std::string_view(here.name()) != "cpu") throw Error(Code::kInternal, "not on the CPU pool");
  std::vector<float> values;
  for (const float value : get_tensor(inputs, "x").values<float>())
    values.push_back(value + self->amount);
  const Shape shape{static_cast<std::int64_t>(values.size())};
  Tensors outputs;
  outputs.push_back({"y", Tensor::of<float>(shape, std::span<const float>(values))});
  outputs.push_back({"rest", Tensor::of<float>({1}, {0.0F})});
  co_return std::move(outputs);
}

// Two rounds through another servable.
struct Twice {
  PipelineContext context;
};
Task<Tensors> twice(std::shared_ptr<const Twice> self, Tensors inputs) {
  std::shared_ptr<model::Servable> adder = self->context.model("adder");
  Tensor x = get_tensor(inputs, "x");
  Tensor once = co_await infer_on(adder, std::move(x));
  Tensor both = co_await infer_on(adder, std::move(once));
  Tensors outputs;
  outputs.push_back({"y", std::move(both)});
  co_return std::move(outputs);
}

struct Nothing {};
Task<Tensors> leaves_out(std::shared_ptr<const Nothing>, Tensors) { co_return Tensors{}; }
Task<Tensors> throws_foreign(std::shared_ptr<const Nothing>, Tensors) {
  throw std::runtime_error("disk on fire");
  co_return Tensors{};
}
Task<model::InferResponse> echo_id(std::shared_ptr<const Nothing>, model::InferRequest request) {
  model::InferResponse response;
  response.parameters["asked"] = request.id;
  response.outputs.push_back({"y", get_tensor(request.inputs, "x")});
  co_return std::move(response);
}

class PipelineTest : public testing::Test {
 protected:
  PipelineContext context(std::string name) {
    PipelineContext made;
    made.name = std::move(name);
    made.cpu = &cpu_;
    made.models = &models_;
    return made;
  }
  static PipelineSpec spec() { return {.signature = one_in_one_out()}; }
  static model::InferRequest request(std::initializer_list<float> values) {
    model::InferRequest made;
    made.id = "7";
    made.inputs.push_back({"x", floats(values)});
    return made;
  }
  static Error error_of(const std::shared_ptr<model::Servable>& servable,
                        model::InferRequest request) {
    try {
      sync_wait(servable->infer(std::move(request)));
    } catch (const Error& error) {
      return error;
    }
    return Error(Code::kOk, "nothing was thrown");
  }

  ThreadPool cpu_{2};
  model::Repository models_;
};

TEST_F(PipelineTest, RunsOnTheCpuPoolAndKeepsOnlyItsOutputs) {
  auto servable =
      make_pipeline(context("adder"), spec(), std::make_shared<Adder>(Adder{2.0F}), &add_amount);
  const model::InferResponse response = sync_wait(servable->infer(request({1, 2})));
  EXPECT_EQ(response.model, "adder");
  EXPECT_EQ(response.id, "7");
  ASSERT_EQ(response.outputs.size(), 1u);
  EXPECT_THAT(response.outputs[0].tensor.values<float>(), ElementsAre(3, 4));
  EXPECT_EQ(servable->statistics().success.count, 1u);
  EXPECT_EQ(servable->platform(), "baozi_pipeline");
}

TEST_F(PipelineTest, CallsAnotherServableByName) {
  PipelineSpec needs = spec();
  needs.models = {"adder"};
  auto servable = make_pipeline(context("twice"), needs,
                                std::make_shared<Twice>(Twice{context("twice")}), &twice);
  EXPECT_FALSE(servable->ready());
  EXPECT_EQ(error_of(servable, request({1})).code(), Code::kNotFound);
  models_.add(
      make_pipeline(context("adder"), spec(), std::make_shared<Adder>(Adder{2.0F}), &add_amount));
  EXPECT_TRUE(servable->ready());
  const model::InferResponse response = sync_wait(servable->infer(request({1})));
  EXPECT_THAT(response.outputs[0].tensor.values<float>(), ElementsAre(5));
  EXPECT_EQ(servable->statistics().fail.count, 1u);
}

TEST_F(PipelineTest, TheRequestFormSeesIdAndParameters) {
  auto servable = make_pipeline(context("echo"), spec(), std::make_shared<Nothing>(), &echo_id);
  const model::InferResponse response = sync_wait(servable->infer(request({4})));
  EXPECT_EQ(std::get<std::string>(response.parameters.at("asked")), "7");
}

TEST_F(PipelineTest, ChecksInputsAndWantedOutputs) {
  auto servable = make_pipeline(context("adder"), spec(), std::make_shared<Adder>(), &add_amount);
  model::InferRequest wrong_type;
  wrong_type.inputs.push_back({"x", Tensor::of<std::int64_t>({1}, {1})});
  EXPECT_EQ(error_of(servable, std::move(wrong_type)).code(), Code::kInvalidArgument);
  model::InferRequest unknown = request({1});
  unknown.inputs.push_back({"z", floats({1})});
  EXPECT_THAT(error_of(servable, std::move(unknown)).message(), HasSubstr("no input 'z'"));
  model::InferRequest output = request({1});
  output.outputs = {"rest"};
  EXPECT_THAT(error_of(servable, std::move(output)).message(), HasSubstr("no output 'rest'"));
}

TEST_F(PipelineTest, ReportsAForgottenOutputAndAForeignException) {
  auto forgetful = make_pipeline(context("f"), spec(), std::make_shared<Nothing>(), &leaves_out);
  EXPECT_THAT(error_of(forgetful, request({1})).message(), HasSubstr("left out its output 'y'"));
  auto burning = make_pipeline(context("b"), spec(), std::make_shared<Nothing>(), &throws_foreign);
  const Error error = error_of(burning, request({1}));
  EXPECT_EQ(error.code(), Code::kInternal);
  EXPECT_THAT(error.message(), HasSubstr("disk on fire"));
}

TEST_F(PipelineTest, OptionsAreReadStrictly) {
  PipelineContext with = context("o");
  with.options = {
      {"top_k", "7"}, {"scale", "0.5"}, {"skip", "true"}, {"bad", "5x"}, {"labels", "a.txt"}};
  EXPECT_EQ(with.option("top_k", 1), 7);
  EXPECT_EQ(with.option("absent", 3), 3);
  EXPECT_EQ(with.option("scale", 1.0), 0.5);
  EXPECT_TRUE(with.option("skip", false));
  EXPECT_EQ(with.option("labels", ""), "a.txt");
  EXPECT_THROW(with.option("bad", 1), Error);
  EXPECT_THROW(with.option("top_k", false), Error);
  try {
    with.check_options({"top_k", "scale", "skip", "labels"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("no option 'bad'; it has: top_k, scale, skip, labels"));
  }
}

TEST_F(PipelineTest, RegistryMakesByKindAndNamesWhatItHas) {
  Registry kinds;
  kinds.add("adder", [](PipelineContext made) {
    return make_pipeline(std::move(made), spec(), std::make_shared<Adder>(Adder{1.0F}),
                         &add_amount);
  });
  EXPECT_THROW(kinds.add("adder", nullptr), Error);
  EXPECT_EQ(kinds.make("adder", context("plus_one"))->name(), "plus_one");
  try {
    kinds.make("ader", context("x"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
    EXPECT_THAT(error.message(), HasSubstr("there are: adder"));
  }
}

std::string plugin_path(const char* kind) {
  return std::string(BAOZI_BINARY_DIR) + "/test_plugins/libbaozi_pipeline_test_" + kind + ".so";
}
Code plugin_error(const std::string& path, Registry& kinds) {
  try {
    load_plugin(path, kinds);
  } catch (const Error& error) {
    return error.code();
  }
  return Code::kOk;
}

TEST_F(PipelineTest, PluginRegistersItsPipelines) {
  Registry kinds;
  load_plugin(plugin_path("good"), kinds);
  EXPECT_THAT(kinds.kinds(), ElementsAre("negate"));
  auto servable = kinds.make("negate", context("minus"));
  const model::InferResponse response = sync_wait(servable->infer(request({3})));
  EXPECT_THAT(response.outputs[0].tensor.values<float>(), ElementsAre(-3));
}

TEST_F(PipelineTest, PluginThatCannotBeUsedSaysWhy) {
  Registry kinds;
  EXPECT_EQ(plugin_error("/nowhere/libx.so", kinds), Code::kNotFound);
  EXPECT_EQ(plugin_error(plugin_path("old"), kinds), Code::kFailedPrecondition);
  EXPECT_EQ(plugin_error(plugin_path("foreign"), kinds), Code::kFailedPrecondition);
  EXPECT_EQ(plugin_error(__FILE__, kinds), Code::kFailedPrecondition);
  EXPECT_TRUE(kinds.kinds().empty());
}

}  // namespace
}  // namespace baozi::pipeline
