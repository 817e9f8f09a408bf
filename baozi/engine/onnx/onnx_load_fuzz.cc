// Bytes as an ONNX file: the scan and the load must answer with a model or an Error, whatever the
// bytes say.
#include <cstdint>
#include <fstream>
#include <string_view>

#include "baozi/base/error.h"
#include "baozi/engine/onnx/onnx_engine.h"
#include "baozi/engine/onnx_file/model_scan.h"
#include "baozi/engine/scratch_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baozi;
  static const engine::ScratchFolder folder;
  static engine::OnnxEngine onnx;
  const std::filesystem::path file =
      folder.write("model.onnx", std::string_view(reinterpret_cast<const char*>(data), size));
  try {
    engine::scan_model(file);
    engine::ModelOptions options;
    options.optimization_level =
        0;  // constant folding would run what the file says, for as long as it says
    onnx.load(file, options, {});
  } catch (const Error&) {
  }
  return 0;
}
