#include "baozi/engine/onnx/onnx_engine.h"

#include <malloc.h>

#include <utility>

#include "baozi/engine/onnx/onnx_model.h"
#include "baozi/engine/onnx/onnx_prepared.h"
#include "baozi/engine/onnx/onnx_runtime.h"
#include "baozi/engine/onnx/onnx_session.h"
#include "baozi/engine/onnx_file/model_scan.h"

namespace baozi::engine {

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
  // The file as parsed, and weights that were packed anew, are freed by now: let the system have
  // their pages.
  ::malloc_trim(0);
  return make_onnx_model(file.string(), std::move(session), {.weight_bytes = weights});
}

Preparation OnnxEngine::prepare(const std::filesystem::path& file, const ModelOptions& options,
                                StopToken stop) {
  throw_if_stopped(stop);
  Preparation preparation = prepare_model(file, options, stop);
  ::malloc_trim(0);
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
