#include "baozi/serve/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "baozi/engine/onnx_file/onnx_writer.h"
#include "baozi/engine/scratch_folder.h"
#include "baozi/serve/model_identity.h"

namespace baozi::serve {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using namespace engine::onnx_writer;

class ModelFilesTest : public testing::Test {
 protected:
  static std::string graph_with(std::string_view weights) {
    return model(message(5, external_tensor("w", 4, weights, "0", "16")));
  }
  // As it should be done: beside its place, and renamed.
  fs::path replace(const fs::path& name, std::string_view content) {
    const fs::path file = folder_.path() / name;
    fs::rename(folder_.write("new", content), file);
    return file;
  }

  engine::ScratchFolder folder_;
  const fs::path weights_ = folder_.write("data/w.bin", std::string(16, 'a'));
  const fs::path model_ = folder_.write("model.onnx", graph_with("data/w.bin"));
  ModelFiles files_;
};

TEST_F(ModelFilesTest, TheGraphTellsWhereTheWeightsLie) {
  EXPECT_THAT(files_.of(model_), ElementsAre(model_, weights_));
  folder_.write("other.bin", std::string(16, 'b'));
  replace("model.onnx", graph_with("other.bin"));
  EXPECT_THAT(files_.of(model_), ElementsAre(model_, folder_.path() / "other.bin"));
  EXPECT_THAT(files_.of(folder_.write("bun.gguf", "GGUF")),
              ElementsAre(folder_.path() / "bun.gguf"));
}

TEST_F(ModelFilesTest, AChangeOfTheWeightsIsSeen) {
  const std::string before = files_.stamp(model_);
  EXPECT_EQ(files_.stamp(model_), before);
  folder_.write("labels.txt", "it is no part of the model");
  EXPECT_EQ(files_.stamp(model_), before);
  replace("data/w.bin", std::string(16, 'b'));
  const std::string changed = files_.stamp(model_);
  EXPECT_NE(changed, before);
  fs::remove(weights_);
  const std::string gone = files_.stamp(model_);
  EXPECT_NE(gone, changed);
  replace("data/w.bin", std::string(16, 'b'));
  EXPECT_NE(files_.stamp(model_), gone);
  fs::remove(model_);
  EXPECT_EQ(files_.stamp(model_), "");
}

// Half-written weights, or none: the model is its file alone until they are there.
TEST_F(ModelFilesTest, WeightsThatComeLaterAreSeen) {
  replace("data/w.bin", "short");
  const std::string before = files_.stamp(model_);
  EXPECT_THAT(files_.of(model_), ElementsAre(model_));
  replace("data/w.bin", std::string(16, 'b'));
  EXPECT_NE(files_.stamp(model_), before);
  const std::string garbage = files_.stamp(replace("model.onnx", "garbage"));
  EXPECT_NE(garbage, "");
  EXPECT_EQ(files_.stamp(model_), garbage);
}

TEST_F(ModelFilesTest, NothingIsReadForWhatIsKnown) {
  const std::string own = files_.known_stamp(model_);
  const std::string whole = files_.stamp(model_);
  EXPECT_TRUE(whole.starts_with(own + ' ')) << own << " and " << whole;
  EXPECT_EQ(files_.known_stamp(model_), whole) << "it is known by now";
}

TEST_F(ModelFilesTest, AStampCanBeCompletedLater) {
  const std::string own = files_.known_stamp(model_);
  const auto now = std::chrono::system_clock::now();
  // By the weights' time of change: long before, or after.
  EXPECT_EQ(files_.stamp_at(model_, own, now + std::chrono::hours(1)), files_.stamp(model_));
  EXPECT_NE(files_.stamp_at(model_, own, now - std::chrono::hours(1)), files_.stamp(model_));
}

TEST_F(ModelFilesTest, AStampOfAnotherTimeIsNotTakenForOneOfNow) {
  const auto later = std::chrono::system_clock::now() + std::chrono::hours(1);
  const std::string own = files_.known_stamp(model_);
  const std::string whole = files_.stamp(model_);
  replace("data/w.bin", std::string(16, 'b'));
  EXPECT_NE(files_.stamp_at(model_, whole, later), files_.stamp(model_));
  replace("model.onnx", graph_with("data/w.bin"));
  EXPECT_NE(files_.stamp_at(model_, own, later), files_.stamp(model_));
}

// Or the response cache would give answers of the weights before.
TEST_F(ModelFilesTest, TheWeightsArePartOfTheIdentity) {
  ModelIdentities identities;
  const ModelVersion version{"1", model_};
  const std::string before = identities.of(version);
  EXPECT_EQ(ModelIdentities().of(version), before);
  replace("data/w.bin", std::string(16, 'b'));
  EXPECT_NE(identities.of(version), before);
  replace("data/w.bin", std::string(16, 'a'));
  EXPECT_EQ(identities.of(version), before);
}

}  // namespace
}  // namespace baozi::serve
