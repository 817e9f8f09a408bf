#include "baozi/engine/onnx/onnx_engine.h"

#include <malloc.h>

#include <mutex>
#include <utility>

#include "baozi/engine/onnx/onnx_model.h"
#include "baozi/engine/onnx/onnx_prepared.h"
#include "baozi/engine/onnx/onnx_runtime.h"
#include "baozi/engine/onnx/onnx_session.h"
#include "baozi/engine/onnx_file/model_scan.h"

namespace baozi::engine {
namespace {

// What was freed goes back to the system. One thread at a time: where a sanitizer's heap stands in
// for the C library's, the first call sets that up, and two that do so at once leave it in a state
// that aborts the process when they end.
void trim_heap() {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  ::malloc_trim(0);
}

}  // namespace

OnnxEngine::OnnxEngine() { onnx_environment(); }

std::string OnnxEngine::version() const { return OrtGetApiBase()->GetVersionString(); }

bool OnnxEngine::accepts(const std::filesystem::path& file) const {
  return file.extension() == ".onnx";
}

std::shared_ptr<Model> OnnxEngine::load(const std::filesystem::path& file,
                                        const ModelOptions& options, StopToken stop) {
  throw_if_stopped(stop);
  if (std::shared_ptr<Model> model = load_prepared(file, options, stop)) return model;
  const ModelScan scan = scan_model(file);
  const std::uint64_t weights = scan.file_bytes + scan.external_bytes;
  check_memory(file, weights, options);
  Ort::SessionOptions session_settings = session_options(options);
  Ort::Session session = open_session(file, session_settings, stop);
  trim_heap();  // of the file as parsed, and of weights that were packed anew
  return make_onnx_model(file.string(), std::move(session), {.weight_bytes = weights});
}

Preparation OnnxEngine::prepare(const std::filesystem::path& file, const ModelOptions& options,
                                StopToken stop) {
  throw_if_stopped(stop);
  Preparation preparation = prepare_model(file, options, stop);
  trim_heap();
  return preparation;
}

}  // namespace baozi::engine

// The two functions of plugin.h.
BAOZI_ENGINE_EXPORT std::uint32_t baozi_engine_abi() { return baozi::engine::kEngineAbi; }

BAOZI_ENGINE_EXPORT baozi::engine::Engine* baozi_engine_create(
    const baozi::engine::EngineHost& host) {
  baozi::engine::set_onnx_host(host);
  return new baozi::engine::OnnxEngine;
}
