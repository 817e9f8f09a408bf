#include "baozi/engine/registry.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <functional>

#include "baozi/base/error.h"

namespace baozi::engine {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

// The test plug-ins lie in a folder that only BAOZI_ENGINE_PATH names.
class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("BAOZI_ENGINE_PATH", "/nonexistent:" BAOZI_BINARY_DIR "/test_plugins", 1);
  }
  void TearDown() override { ::unsetenv("BAOZI_ENGINE_PATH"); }
};

class StaticEngine final : public Engine {
 public:
  std::string_view name() const noexcept override { return "static"; }
  std::string version() const override { return "1"; }
  bool accepts(const std::filesystem::path& file) const override {
    return file.extension() == ".static";
  }
  std::shared_ptr<Model> load(const std::filesystem::path&, const ModelOptions&,
                              StopToken) override {
    return nullptr;
  }
};

Error error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  return Error(Code::kOk, "nothing was thrown");
}

TEST_F(RegistryTest, RegisteredEnginesAreFoundByNameAndFile) {
  Engine& engine = register_engine(std::make_unique<StaticEngine>());
  EXPECT_EQ(&open_engine("static"), &engine);
  EXPECT_EQ(&engine_for("folder/model.static"), &engine);
  EXPECT_THAT(engine_names(), Contains("static"));
  EXPECT_EQ(error_of([] { register_engine(std::make_unique<StaticEngine>()); }).code(),
            Code::kAlreadyExists);
}

TEST_F(RegistryTest, OpensAPluginOnFirstUseAndKeepsIt) {
  Engine& engine = open_engine("test_good");
  EXPECT_EQ(engine.name(), "test_good");
  EXPECT_EQ(&open_engine("test_good"), &engine);
}

TEST_F(RegistryTest, FindsThePluginThatTakesAFile) {
  EXPECT_EQ(engine_for("model.test_good").name(), "test_good");
}

TEST_F(RegistryTest, ErrorsOfAPluginAreOurs) {
  const Error error = error_of([] { open_engine("test_good").load("x.test_good", {}, {}); });
  EXPECT_EQ(error.code(), Code::kUnimplemented);
  EXPECT_EQ(error.message(), "no loading of x.test_good");
}

TEST_F(RegistryTest, AMissingPluginListsTheFoldersSearched) {
  const Error error = error_of([] { open_engine("missing"); });
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_THAT(error.message(), HasSubstr("libbaozi_engine_missing.so"));
  for (const std::filesystem::path& folder : engine_folders()) {
    EXPECT_THAT(error.message(), HasSubstr(folder.string()));
  }
  EXPECT_THAT(error.message(), HasSubstr("/nonexistent"));
}

TEST_F(RegistryTest, RefusesAPluginOfAnotherVersion) {
  const Error error = error_of([] { open_engine("test_old"); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("another version"));
}

TEST_F(RegistryTest, RefusesASharedObjectThatIsNoEngine) {
  const Error error = error_of([] { open_engine("test_foreign"); });
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("baozi_engine_abi"));
}

TEST_F(RegistryTest, NamesThatArePathsAreRefused) {
  EXPECT_EQ(error_of([] { open_engine("../evil"); }).code(), Code::kInvalidArgument);
  EXPECT_EQ(error_of([] { open_engine(""); }).code(), Code::kInvalidArgument);
}

TEST_F(RegistryTest, AFileNobodyTakesNamesTheEnginesThereAre) {
  const Error error = error_of([] { engine_for("model.xyz"); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_THAT(error.message(), HasSubstr("model.xyz"));
  EXPECT_THAT(error.message(), HasSubstr("test_good"));
}

}  // namespace
}  // namespace baozi::engine
