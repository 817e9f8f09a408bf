#include "baozi/engine/language.h"

#include <fmt/format.h>

#include "baozi/base/error.h"
#include "baozi/engine/engine.h"

namespace baozi::engine {

std::shared_ptr<LanguageModel> Engine::load_language(const std::filesystem::path& file,
                                                     const LanguageOptions&, StopToken) {
  throw Error(Code::kUnimplemented,
              fmt::format("{}: the engine '{}' runs no language models", file.string(), name()));
}

Preparation Engine::prepare(const std::filesystem::path&, const ModelOptions&, StopToken) {
  return {.why = fmt::format("the engine '{}' has nothing to prepare", name())};
}

}  // namespace baozi::engine
