// A plug-in engine that takes *.test_good and refuses to load anything, for the registry's tests.
#include "baozi/base/error.h"
#include "baozi/engine/engine.h"
#include "baozi/engine/plugin.h"

namespace {

using namespace baozi;
using namespace baozi::engine;

class GoodEngine final : public Engine {
 public:
  std::string_view name() const noexcept override { return "test_good"; }
  std::string version() const override { return "7"; }
  bool accepts(const std::filesystem::path& file) const override {
    return file.extension() == ".test_good";
  }
  std::shared_ptr<Model> load(const std::filesystem::path& file, const ModelOptions&,
                              StopToken) override {
    throw Error(Code::kUnimplemented, "no loading of " + file.string());
  }
};

}  // namespace

BAOZI_ENGINE_EXPORT std::uint32_t baozi_engine_abi() { return kEngineAbi; }

BAOZI_ENGINE_EXPORT Engine* baozi_engine_create(const EngineHost& host) {
  host.log(2, "the good test engine is open");
  return new GoodEngine;
}
