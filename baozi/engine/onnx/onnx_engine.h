// OnnxEngine: ONNX models run by ONNX Runtime. Programs get it from open_engine("onnx"), which
// loads it as a plug-in.
//
// Thread safety: as engine.h says. One session a model; its instances call it concurrently.
#pragma once

#include "baozi/engine/engine.h"

namespace baozi::engine {

class OnnxEngine final : public Engine {
 public:
  // Throws Error kFailedPrecondition when the ONNX Runtime found is too old.
  OnnxEngine();

  std::string_view name() const noexcept override { return "onnx"; }
  std::string version() const override;
  bool accepts(const std::filesystem::path& file) const override;
  std::shared_ptr<Model> load(const std::filesystem::path& file, const ModelOptions& options,
                              StopToken stop) override;
  // Models on the CPU only: what other providers compile is kept by themselves.
  Preparation prepare(const std::filesystem::path& file, const ModelOptions& options,
                      StopToken stop) override;
};

}  // namespace baozi::engine
