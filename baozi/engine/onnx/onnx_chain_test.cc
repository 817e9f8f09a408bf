// Models in parts whose parts come when the test lets them.
#include "baozi/engine/onnx/onnx_chain.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/onnx/onnx_layers.h"
#include "baozi/engine/onnx/onnx_model.h"
#include "baozi/engine/onnx/onnx_session.h"
#include "baozi/engine/onnx_file/onnx_writer.h"
#include "baozi/engine/scratch_folder.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;
using namespace onnx_writer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::size_t kParts = 3;

std::string input(std::string_view name) { return message(11, value_info(name, {"n"})); }
std::string output(std::string_view name) { return message(12, value_info(name, {"n"})); }
std::string step(std::string_view op, const std::vector<std::string>& uses,
                 std::string_view makes) {
  return message(1, node(op, uses, makes));
}

// y = |-x| * x, and early = -x: the first part makes an output of the whole that the next one uses,
// the last uses an input of the whole.
class OnnxChainTest : public testing::Test {
 protected:
  OnnxChainTest() {
    write(0, step("Neg", {"x"}, "early") + input("x") + output("early"));
    write(1, step("Abs", {"early"}, "a") + input("early") + output("a"));
    write(2, step("Mul", {"a", "x"}, "y") + input("a") + input("x") + output("y"));
    folder_.write("whole.onnx",
                  model(step("Neg", {"x"}, "early") + step("Abs", {"early"}, "a") +
                        step("Mul", {"a", "x"}, "y") + input("x") + output("y") + output("early")));
  }
  ~OnnxChainTest() override { let_all(); }

  void write(std::size_t part, const std::string& graph) {
    folder_.write(part_name(part), model(graph));
  }

  std::shared_ptr<Model> load() {
    OnnxParts parts;
    parts.plan.parts = kParts;
    parts.plan.signature.inputs = {{"x", DType::kFp32, {-1}, {"n"}}};
    parts.plan.signature.outputs = {{"y", DType::kFp32, {-1}, {"n"}},
                                    {"early", DType::kFp32, {-1}, {"n"}}};
    parts.open_part = [this](std::size_t part, const StopToken& stop) {
      while (part >= let_.load() && !stop.stop_requested())
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      throw_if_stopped(stop);
      ++opened_;
      return open(part_name(part), stop);
    };
    parts.open_whole = [this](const std::string& why, const StopToken& stop) {
      why_ = why;
      return open("whole.onnx", stop);
    };
    return make_onnx_model("chain", std::move(parts), {}, {});
  }

  Ort::Session open(const std::string& name, const StopToken& stop) const {
    Ort::SessionOptions options = prepared_options({});
    return open_session(folder_.path() / name, options, stop);
  }

  void let(std::size_t parts) { let_ = parts; }
  void let_all() { let(kParts); }

  static std::vector<Tensor> run(Instance& instance, StopToken stop = {}) {
    const std::vector<Tensor> inputs{Tensor::of<float>({2}, std::vector<float>{3, -2})};
    std::vector<Tensor> outputs(2);
    instance.run(inputs, outputs, stop);
    return outputs;
  }
  static void expect_right(const std::vector<Tensor>& outputs) {
    EXPECT_THAT(outputs[0].values<float>(), ElementsAre(9, -4));
    EXPECT_THAT(outputs[1].values<float>(), ElementsAre(-3, 2));
  }

  const ScratchFolder folder_;
  std::atomic<std::size_t> let_{1};
  std::atomic<int> opened_{0};
  std::string why_;  // read when all is there
};

TEST_F(OnnxChainTest, PartsAnswerAsTheWhole) {
  let_all();
  const std::shared_ptr<Model> model = load();
  model->await_loaded({});
  EXPECT_TRUE(model->loaded());
  const auto instance = model->create_instance(heap_allocator());
  for (int i = 0; i < 3; ++i) expect_right(run(*instance));
  EXPECT_EQ(opened_, 3);
  EXPECT_EQ(why_, "");
}

TEST_F(OnnxChainTest, ItIsThereWithItsFirstPartAndRunsWaitForTheOthers) {
  const std::shared_ptr<Model> model = load();
  EXPECT_FALSE(model->loaded());
  EXPECT_EQ(model->signature().outputs[1].name, "early");
  const auto instance = model->create_instance(heap_allocator());
  std::future<std::vector<Tensor>> answer =
      std::async(std::launch::async, [&] { return run(*instance); });
  let(2);
  EXPECT_EQ(answer.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  let_all();
  expect_right(answer.get());
  EXPECT_TRUE(model->loaded());
}

TEST_F(OnnxChainTest, ARunThatIsStoppedDoesNotWaitAndTheNextOneIsNotStopped) {
  const std::shared_ptr<Model> model = load();
  const auto instance = model->create_instance(heap_allocator());
  for (const Code reason : {Code::kCancelled, Code::kDeadlineExceeded}) {
    StopSource stop;
    std::future<std::vector<Tensor>> answer =
        std::async(std::launch::async, [&] { return run(*instance, stop.token()); });
    EXPECT_EQ(answer.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
    stop.request_stop(reason);
    try {
      answer.get();
      ADD_FAILURE() << "it answered without its parts";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), reason);
    }
  }
  EXPECT_FALSE(model->loaded());
  let_all();
  expect_right(run(*instance));
}

TEST_F(OnnxChainTest, OneThatIsLetGoOfIsNotOpenedFurther) {
  std::shared_ptr<Model> model = load();
  model.reset();  // would wait for ever if it waited for the second part
  EXPECT_EQ(opened_, 1);
}

TEST_F(OnnxChainTest, WaitingForAllOfItEndsWhenStopped) {
  const std::shared_ptr<Model> model = load();
  StopSource stop;
  std::jthread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    stop.request_stop();
  });
  EXPECT_THROW(model->await_loaded(stop.token()), Error);
}

TEST_F(OnnxChainTest, APartThatCannotBeOpenedLetsTheWholeAnswer) {
  folder_.write(part_name(1), "no model");
  const std::shared_ptr<Model> model = load();
  const auto instance = model->create_instance(heap_allocator());
  std::future<std::vector<Tensor>> answer =
      std::async(std::launch::async, [&] { return run(*instance); });
  EXPECT_EQ(answer.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  let_all();
  expect_right(answer.get());  // it was computing with the first part already
  expect_right(run(*instance));
  EXPECT_TRUE(model->loaded());
  EXPECT_THAT(why_, HasSubstr("part-1.onnx"));
}

TEST_F(OnnxChainTest, PartsThatDoNotFitTogetherLetTheWholeAnswer) {
  struct {
    std::size_t part;
    std::string graph;
    const char* why;
  } const cases[] = {
      {1, step("Abs", {"stranger"}, "a") + input("stranger") + output("a"), "'stranger'"},
      {2, step("Mul", {"a", "x"}, "z") + input("a") + input("x") + output("z"), "'y'"}};
  let_all();
  for (const auto& [part, graph, why] : cases) {
    write(part, graph);
    const std::shared_ptr<Model> model = load();
    expect_right(run(*model->create_instance(heap_allocator())));
    EXPECT_THAT(why_, HasSubstr(why));
    write(1, step("Abs", {"early"}, "a") + input("early") + output("a"));
  }
}

TEST_F(OnnxChainTest, WithoutTheWholeEveryRunSaysWhy) {
  folder_.write(part_name(1), "no model");
  fs::remove(folder_.path() / "whole.onnx");
  let_all();
  const std::shared_ptr<Model> model = load();
  const auto instance = model->create_instance(heap_allocator());
  for (int i = 0; i < 2; ++i) {
    try {
      run(*instance);
      ADD_FAILURE() << "it answered without its parts";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      EXPECT_THAT(error.message(), HasSubstr("whole.onnx"));
    }
  }
  model->await_loaded({});
  EXPECT_FALSE(model->loaded());
}

TEST_F(OnnxChainTest, AFirstPartThatCannotBeOpenedFailsTheLoad) {
  folder_.write(part_name(0), "no model");
  EXPECT_THROW(load(), Error);
}

TEST_F(OnnxChainTest, ARunThatFailsHalfWayLeavesTheInstanceUsable) {
  // The last part refuses vectors of other lengths than the first input's: Mul cannot broadcast.
  write(1, message(1, node("Concat", {"early", "early"}, "a", int_attribute("axis", 0))) +
               input("early") + message(12, value_info("a", {"m"})));
  let_all();
  const std::shared_ptr<Model> model = load();
  const auto instance = model->create_instance(heap_allocator());
  for (int i = 0; i < 3; ++i) EXPECT_THROW(run(*instance), Error);
  const std::vector<Tensor> inputs{Tensor::of<float>({1}, std::vector<float>{3})};
  std::vector<Tensor> outputs(2);
  instance->run(inputs, outputs, {});
  EXPECT_THAT(outputs[0].values<float>(), ElementsAre(-9, -9));
}

TEST_F(OnnxChainTest, ManyInstancesRunWhileItLoads) {
  const std::shared_ptr<Model> model = load();
  std::vector<std::future<void>> answers;
  for (int i = 0; i < 4; ++i) {
    answers.push_back(std::async(std::launch::async, [&model] {
      const auto instance = model->create_instance(heap_allocator());
      for (int run_number = 0; run_number < 20; ++run_number) expect_right(run(*instance));
    }));
  }
  let(2);
  let_all();
  for (std::future<void>& each : answers) each.get();
}

}  // namespace
}  // namespace baozi::engine
