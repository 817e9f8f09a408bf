// A plug-in of another version, for the registry's tests: it must be refused before it is asked for
// an engine.
#include <cstdlib>

#include "baozi/engine/engine.h"
#include "baozi/engine/plugin.h"

BAOZI_ENGINE_EXPORT std::uint32_t baozi_engine_abi() { return baozi::engine::kEngineAbi - 1; }

BAOZI_ENGINE_EXPORT baozi::engine::Engine* baozi_engine_create(const baozi::engine::EngineHost&) {
  std::abort();
}
