// Prepared models against the same ones unprepared: nothing may tell them apart but the time.
#include <gmock/gmock.h>

#include <chrono>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/engine.h"
#include "baozi/engine/onnx/test_prepared.h"
#include "baozi/engine/test_models.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using State = Preparation::State;

// Every model that setup prepares, so that a new one is covered from its first day.
class EveryModel : public OnnxPreparedTest, public testing::WithParamInterface<std::string> {};

TEST_P(EveryModel, IsTheSamePrepared) {
  const fs::path file = cache_folder() / "models" / GetParam();
  const std::shared_ptr<Model> whole = load(file);
  ASSERT_FALSE(whole->prepared());
  const Preparation made = prepare(file);
  ASSERT_EQ(made.state, State::kMade) << made.why;
  EXPECT_GT(made.bytes, 0u);
  const std::shared_ptr<Model> model = load(file);
  ASSERT_TRUE(model->prepared());
  expect_same(model->signature().inputs, whole->signature().inputs);
  expect_same(model->signature().outputs, whole->signature().outputs);
  EXPECT_EQ(model->metadata(), whole->metadata());
  EXPECT_EQ(model->memory_bytes(), whole->memory_bytes());
  for (const std::int64_t free : {32, 64}) expect_same(run(*model, free), run(*whole, free));
  EXPECT_EQ(prepare(file).state, State::kThere);
}

INSTANTIATE_TEST_SUITE_P(All, EveryModel, testing::ValuesIn(every_model()), test_name);

TEST_F(OnnxPreparedTest, IsOffWithoutAFolder) {
  const Preparation made = open_engine("onnx").prepare(test_model("noop"), {}, {});
  EXPECT_EQ(made.state, State::kNone);
  EXPECT_THAT(made.why, HasSubstr("no folder"));
  EXPECT_FALSE(load(test_model("noop"), {})->prepared());
}

TEST_F(OnnxPreparedTest, EveryOptionThatMattersHasItsOwn) {
  const fs::path file = test_model("efficientnet_lite0");
  ModelOptions basic = options();
  basic.optimization_level = 1;
  ModelOptions entry = options();
  entry.session_config["session.set_denormal_as_zero"] = "1";
  ModelOptions threads = options();
  threads.threads = 2;
  prepare(file);
  EXPECT_FALSE(load(file, basic)->prepared());
  EXPECT_FALSE(load(file, entry)->prepared());
  EXPECT_TRUE(load(file, threads)->prepared());
  const std::vector<Tensor> plain = [&] {
    ModelOptions unprepared = basic;
    unprepared.prepared = {};
    return run(*load(file, unprepared), 32);
  }();
  EXPECT_EQ(open_engine("onnx").prepare(file, basic, {}).state, State::kMade);
  ASSERT_TRUE(load(file, basic)->prepared());
  expect_same(run(*load(file, basic), 32), plain);
}

TEST_F(OnnxPreparedTest, OtherProvidersKeepTheirOwn) {
  ModelOptions cuda = options();
  cuda.providers = {{.name = "cuda", .options = {}, .library = {}}};
  const Preparation made = open_engine("onnx").prepare(test_model("noop"), cuda, {});
  EXPECT_EQ(made.state, State::kNone);
  EXPECT_THAT(made.why, HasSubstr("'cuda'"));
  ModelOptions own = options();
  own.session_config["session.save_model_format"] = "ORT";
  EXPECT_THAT(open_engine("onnx").prepare(test_model("noop"), own, {}).why,
              HasSubstr("session.save_model_format"));
  EXPECT_EQ(artefacts(), 0u);
}

TEST_F(OnnxPreparedTest, WhatIsNoModelIsRefusedAsByALoad) {
  for (const char* name : {"truncated", "unknown_op", "external_missing", "external_escape"}) {
    SCOPED_TRACE(name);
    const fs::path file = hostile_model(name);
    const std::optional<Error> loading = error_of([&] { load(file); });
    const std::optional<Error> preparing = error_of([&] { prepare(file); });
    ASSERT_TRUE(loading && preparing);
    EXPECT_EQ(preparing->code(), loading->code());
    EXPECT_EQ(preparing->message(), loading->message());
  }
  EXPECT_EQ(error_of([&] { prepare("/nonexistent/model.onnx"); })->code(), Code::kNotFound);
  EXPECT_EQ(artefacts(), 0u);
}

TEST_F(OnnxPreparedTest, ItsLimitOfMemoryHoldsPrepared) {
  const fs::path file = test_model("efficientnet_lite0");
  prepare(file);
  ModelOptions tight = options();
  tight.memory_bytes_max = 1000;
  EXPECT_EQ(error_of([&] { load(file, tight); })->code(), Code::kResourceExhausted);
}

TEST_F(OnnxPreparedTest, ADamagedOneIsNotUsedAndMadeAgain) {
  const fs::path file = test_model("efficientnet_lite0");
  const std::vector<Tensor> answer = run(*load(file), 32);
  for (const bool cut : {true, false}) {
    const fs::path weights = prepare(file).folder / "weights.bin";
    if (cut) {
      fs::resize_file(weights, fs::file_size(weights) - 1);
    } else {
      std::fstream stream(weights, std::ios::in | std::ios::out | std::ios::binary);
      stream.seekp(1'000'000);
      stream.put('\x55');
    }
    const LoggedText logged;
    const std::shared_ptr<Model> model = load(file);
    EXPECT_FALSE(model->prepared());
    expect_same(run(*model, 32), answer);
    EXPECT_THAT(logged.text(), HasSubstr("damaged"));
    EXPECT_EQ(artefacts(), 0u);
  }
  EXPECT_EQ(prepare(file).state, State::kMade);
  EXPECT_TRUE(load(file)->prepared());
}

TEST_F(OnnxPreparedTest, AModelThatWasReplacedIsAnother) {
  const fs::path file = copied("two_versions");
  prepare(file);
  ASSERT_TRUE(load(file)->prepared());
  const std::vector<Tensor> before = run(*load(file), 32);
  fs::copy_file(cache_folder() / "models/two_versions/3/model.onnx", file,
                fs::copy_options::overwrite_existing);
  const std::shared_ptr<Model> after = load(file);
  EXPECT_FALSE(after->prepared());
  EXPECT_NE(run(*after, 32)[0].values<float>()[1], before[0].values<float>()[1]);
  EXPECT_EQ(prepare(file).state, State::kMade);
  EXPECT_EQ(artefacts(), 2u);
}

// Its content was read before ONNX Runtime reads it, and need not be the same any more.
TEST_F(OnnxPreparedTest, AModelThatChangesMeanwhileIsNotKept) {
  const fs::path file = copied("minilm");
  std::thread writer([&] {
    while (artefacts() == 0) std::this_thread::yield();  // the folder that is being filled
    std::ofstream(file.parent_path() / "weights.bin", std::ios::app | std::ios::binary) << "x";
  });
  const std::optional<Error> error = error_of([&] { prepare(file); });
  writer.join();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kAborted) << error->message();
  EXPECT_EQ(artefacts(), 0u);
}

TEST_F(OnnxPreparedTest, WeightsBesideAModelBelongToIt) {
  const fs::path file = copied("external_data");
  prepare(file);
  ASSERT_TRUE(load(file)->prepared());
  std::fstream stream(file.parent_path() / "weights.bin",
                      std::ios::in | std::ios::out | std::ios::binary);
  const float three = 3;
  stream.write(reinterpret_cast<const char*>(&three), sizeof three);
  stream.close();
  const std::shared_ptr<Model> model = load(file);
  EXPECT_FALSE(model->prepared());
  fs::remove(file.parent_path() / "weights.bin");
  EXPECT_EQ(error_of([&] { load(file); })->code(), Code::kInvalidArgument);
}

TEST_F(OnnxPreparedTest, CopiesOfAModelShareOne) {
  prepare(test_model("add_sub"));
  EXPECT_TRUE(load(copied("add_sub"))->prepared());
  EXPECT_EQ(artefacts(), 1u);
}

TEST_F(OnnxPreparedTest, StopsWhenAskedToAndLeavesNothing) {
  for (const int after_ms : {0, 20, 100, 300}) {
    StopSource stop;
    std::thread stopper([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(after_ms));
      stop.request_stop();
    });
    const std::optional<Error> error = error_of(
        [&] { open_engine("onnx").prepare(test_model("minilm"), options(), stop.token()); });
    stopper.join();
    if (!error) break;  // a quick machine
    EXPECT_EQ(error->code(), Code::kCancelled) << error->message();
    EXPECT_EQ(artefacts(), 0u);
  }
}

TEST_F(OnnxPreparedTest, TwoThreadsPrepareOneModelOnce) {
  Preparation made[2];
  std::thread other([&] { made[1] = prepare(test_model("ocr_cls")); });
  made[0] = prepare(test_model("ocr_cls"));
  other.join();
  EXPECT_NE(made[0].state, made[1].state);
  EXPECT_EQ(made[0].folder, made[1].folder);
  EXPECT_EQ(artefacts(), 1u);
}

TEST_F(OnnxPreparedTest, TakesNoMoreRoomThanItMay) {
  ModelOptions small = options();
  small.prepared.bytes_max = 1000;
  const std::optional<Error> error =
      error_of([&] { open_engine("onnx").prepare(test_model("ocr_cls"), small, {}); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kResourceExhausted);
  EXPECT_THAT(error->message(), HasSubstr("bytes_max"));
  EXPECT_FALSE(load(test_model("ocr_cls"), small)->prepared());
}

}  // namespace
}  // namespace baozi::engine
