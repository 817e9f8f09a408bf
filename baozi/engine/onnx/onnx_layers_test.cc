// Models in layers against the same ones whole: nothing may tell them apart but the time.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/engine.h"
#include "baozi/engine/onnx/onnx_layers.h"
#include "baozi/engine/onnx/test_prepared.h"
#include "baozi/engine/test_models.h"

namespace baozi::engine {
namespace {

using ::testing::HasSubstr;
using State = Preparation::State;

class OnnxLayersTest : public OnnxPreparedTest {
 protected:
  ModelOptions in(int layers) const {
    ModelOptions split = options();
    split.layers = layers;
    return split;
  }
};

class EveryModelInLayers : public OnnxLayersTest,
                           public testing::WithParamInterface<std::string> {};

TEST_P(EveryModelInLayers, IsTheSame) {
  const fs::path file = cache_folder() / "models" / GetParam();
  const std::shared_ptr<Model> whole = load(file);
  const Preparation made = prepare(file, in(3));
  ASSERT_EQ(made.state, State::kMade) << made.why;
  constexpr std::array<std::string_view, 7> kReal{
      "minilm",  "minilm_int8", "efficientnet_lite0", "ocr_cls",
      "ocr_det", "ocr_rec",     "resnet50_shaped"};
  const std::string name = fs::path(GetParam()).begin()->string();
  if (std::ranges::find(kReal, name) != kReal.end()) {
    EXPECT_EQ(made.layers, 3) << made.why;
  } else if (made.layers == 1) {
    EXPECT_THAT(made.why, HasSubstr("it is not split into 3 layers"));
  }
  const std::shared_ptr<Model> model = load(file, in(3));
  ASSERT_TRUE(model->prepared());
  expect_same(model->signature().inputs, whole->signature().inputs);
  expect_same(model->signature().outputs, whole->signature().outputs);
  EXPECT_EQ(model->metadata(), whole->metadata());
  EXPECT_EQ(model->memory_bytes(), whole->memory_bytes());
  for (const std::int64_t free : {32, 64}) expect_same(run(*model, free), run(*whole, free));
  EXPECT_TRUE(model->loaded());
  EXPECT_EQ(prepare(file, in(3)).state, State::kThere);
}

INSTANTIATE_TEST_SUITE_P(All, EveryModelInLayers, testing::ValuesIn(every_model()), test_name);

TEST_F(OnnxLayersTest, ThereIsAtLeastOneLayerAndNotTooMany) {
  for (const int layers : {0, -1, kLayersMax + 1}) {
    for (const bool preparing : {false, true}) {
      const std::optional<Error> error = error_of([&] {
        preparing ? static_cast<void>(prepare(test_model("minilm"), in(layers)))
                  : static_cast<void>(load(test_model("minilm"), in(layers)));
      });
      ASSERT_TRUE(error);
      EXPECT_EQ(error->code(), Code::kInvalidArgument);
      EXPECT_THAT(error->message(), HasSubstr("layers is " + std::to_string(layers)));
    }
  }
  EXPECT_EQ(artefacts(), 0u);
}

TEST_F(OnnxLayersTest, OneThatHasNoCutsStaysWhole) {
  for (const State state : {State::kMade, State::kThere}) {
    const Preparation made = prepare(test_model("noop"), in(2));
    EXPECT_EQ(made.state, state);
    EXPECT_EQ(made.layers, 1);
    EXPECT_THAT(made.why, HasSubstr("the most layers are 1"));
  }
  EXPECT_TRUE(load(test_model("noop"), in(2))->prepared());
  EXPECT_TRUE(load(test_model("noop"))->prepared());
  EXPECT_EQ(artefacts(), 1u);
}

TEST_F(OnnxLayersTest, TheMostThatThereCanBeAreSaid) {
  const Preparation refused = prepare(test_model("argmax_logits"), in(kLayersMax));
  EXPECT_EQ(refused.layers, 1);
  const std::size_t at = refused.why.rfind("the most layers are ");
  ASSERT_NE(at, std::string::npos) << refused.why;
  const int most =
      std::stoi(refused.why.substr(at + std::string_view("the most layers are ").size()));
  ASSERT_LT(most, kLayersMax);
  EXPECT_EQ(prepare(test_model("argmax_logits"), in(most)).layers, most);
  EXPECT_EQ(prepare(test_model("argmax_logits"), in(most + 1)).layers, 1);
}

TEST_F(OnnxLayersTest, EveryNumberOfLayersHasItsOwn) {
  const fs::path file = test_model("ocr_cls");
  prepare(file, in(2));
  EXPECT_FALSE(load(file, in(3))->prepared());
  EXPECT_FALSE(load(file)->prepared());
  prepare(file);
  EXPECT_TRUE(load(file, in(3))->prepared()) << "whole, as long as it is not split";
  EXPECT_EQ(prepare(file, in(3)).layers, 3);
  EXPECT_EQ(artefacts(), 3u);
}

TEST_F(OnnxLayersTest, ADamagedPartIsNotUsedAndAllIsMadeAgain) {
  const fs::path file = test_model("efficientnet_lite0");
  const std::vector<Tensor> answer = run(*load(file), 32);
  for (const bool cut : {true, false}) {
    const fs::path folder = prepare(file, in(3)).folder;
    if (cut) {
      fs::resize_file(folder / part_name(2), fs::file_size(folder / part_name(2)) / 2);
    } else {
      fs::copy_file(folder / part_name(1), folder / part_name(2),
                    fs::copy_options::overwrite_existing);
    }
    const LoggedText logged;
    const std::shared_ptr<Model> model = load(file, in(3));
    EXPECT_FALSE(model->prepared());
    expect_same(run(*model, 32), answer);
    EXPECT_THAT(logged.text(), HasSubstr("damaged"));
    EXPECT_EQ(artefacts(), 0u);
  }
  EXPECT_EQ(prepare(file, in(3)).state, State::kMade);
  EXPECT_TRUE(load(file, in(3))->prepared());
}

TEST_F(OnnxLayersTest, OneThatIsRemovedWhileItLoadsAnswersAllTheSame) {
  const fs::path file = test_model("efficientnet_lite0");
  const std::vector<Tensor> answer = run(*load(file), 32);
  const fs::path folder = prepare(file, in(8)).folder;
  const std::shared_ptr<Model> model = load(file, in(8));
  fs::rename(folder, folder_.path() / "away");  // as another process makes room
  expect_same(run(*model, 32), answer);
}

TEST_F(OnnxLayersTest, LettingGoOfItWhileItLoadsIsNoHarm) {
  const fs::path file = test_model("efficientnet_lite0");
  prepare(file, in(8));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(load(file, in(8))->prepared());
}

}  // namespace
}  // namespace baozi::engine
