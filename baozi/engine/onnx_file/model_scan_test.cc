#include "baozi/engine/onnx_file/model_scan.h"

#include <gmock/gmock.h>

#include <string>

#include "baozi/base/error.h"
#include "baozi/engine/onnx_file/onnx_writer.h"
#include "baozi/engine/scratch_folder.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;
using namespace onnx_writer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ModelScanTest : public ::testing::Test {
 protected:
  // What the scan of `content` says is wrong; "" when it accepts it.
  std::string complaint(std::string_view content) {
    const fs::path file = folder_.write("folder/model.onnx", content);
    try {
      scan_model(file);
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      EXPECT_THAT(error.message(), StartsWith(file.string()));
      return error.message();
    }
  }

  static std::string with_weight(std::string_view location, std::string_view offset = "0",
                                 std::string_view length = "16") {
    return model(message(5, external_tensor("w", 4, location, offset, length)));
  }

  ScratchFolder folder_;
};

TEST_F(ModelScanTest, CountsTheFileAndItsExternalDataOnce) {
  const std::string two = message(5, external_tensor("a", 4, "data.bin", "0", "16")) +
                          message(5, external_tensor("b", 4, "data.bin", "16", "16"));
  const fs::path data = folder_.write("data.bin", std::string(32, 'x'));
  const fs::path file = folder_.write("model.onnx", model(two));
  const ModelScan scan = scan_model(file);
  EXPECT_EQ(scan.file_bytes, fs::file_size(file));
  EXPECT_EQ(scan.external_bytes, 32u);
  EXPECT_THAT(scan.external_files, ElementsAre(fs::canonical(data)));
}

TEST_F(ModelScanTest, LooksIntoTheGraphsOfNodes) {
  const std::string body = message(5, external_tensor("w", 4, "../outside.bin", "0", "16"));
  const std::string attribute = message(5, message(1, "body") + message(6, body));
  EXPECT_THAT(complaint(model(message(1, node("Loop", {"x"}, "y", attribute)))),
              HasSubstr("outside the model's folder"));
}

TEST_F(ModelScanTest, RefusesExternalDataOutsideTheFolder) {
  folder_.write("secret.bin", std::string(64, 's'));
  for (const char* location :
       {"../secret.bin", "/etc/passwd", "", "sub/../../secret.bin", "..", "."}) {
    EXPECT_NE(complaint(with_weight(location)), "") << location;
  }
  fs::create_directories(folder_.path() / "folder");
  fs::create_symlink(folder_.path() / "secret.bin", folder_.path() / "folder" / "link.bin");
  EXPECT_THAT(complaint(with_weight("link.bin")), HasSubstr("outside the model's folder"));
  // The name by which ONNX Runtime marks an address in its own memory.
  EXPECT_NE(complaint(with_weight("*/_ORT_MEM_ADDR_/*")), "");
}

TEST_F(ModelScanTest, TakesExternalDataBelowTheFolder) {
  folder_.write("folder/sub/data.bin", std::string(16, 'x'));
  EXPECT_EQ(complaint(with_weight("sub/data.bin")), "");
}

TEST_F(ModelScanTest, RefusesExternalDataThatIsMissingOrTooShort) {
  EXPECT_THAT(complaint(with_weight("gone.bin")), HasSubstr("'gone.bin', which is missing"));
  folder_.write("folder/data.bin", std::string(16, 'x'));
  EXPECT_EQ(complaint(with_weight("data.bin")), "");
  EXPECT_THAT(complaint(with_weight("data.bin", "8", "16")), HasSubstr("has only 16"));
  EXPECT_NE(complaint(with_weight("data.bin", "18446744073709551615", "2")), "");
  EXPECT_THAT(complaint(with_weight("data.bin", "-1", "16")), HasSubstr("not a number"));
}

TEST_F(ModelScanTest, RefusesWhatIsNoModel) {
  EXPECT_THAT(complaint(""), HasSubstr("empty"));
  EXPECT_THAT(complaint("GGUF: some other file"), HasSubstr("no ONNX model"));
  EXPECT_THAT(complaint(number(1, 8)), HasSubstr("no graph"));
  const std::string whole = with_weight("gone.bin");
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(complaint(whole.substr(0, size)), "") << size;
}

TEST_F(ModelScanTest, BoundsTheNestingOfGraphs) {
  std::string graph;
  for (int depth = 0; depth < 100; ++depth) {
    graph = message(
        1, node("If", {"x"}, "y", message(5, message(1, "then_branch") + message(6, graph))));
  }
  EXPECT_THAT(complaint(model(graph)), HasSubstr("nested more than"));
}

TEST_F(ModelScanTest, AMissingFileIsNotFound) {
  try {
    scan_model(folder_.path() / "none.onnx");
    FAIL() << "a missing file was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
  }
  try {
    scan_model(folder_.path());
    FAIL() << "a folder was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace baozi::engine
