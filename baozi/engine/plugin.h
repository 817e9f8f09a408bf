// What a plug-in engine exports: libbaozi_engine_<name>.so, opened by open_engine("<name>") on
// first use.
//
//   BAOZI_ENGINE_EXPORT std::uint32_t baozi_engine_abi() { return kEngineAbi; }
//   BAOZI_ENGINE_EXPORT Engine* baozi_engine_create(const EngineHost& host) { return new MyEngine;
//       }
//
// A plug-in carries its own copy of baozi's base libraries and exports nothing but these two
// functions (plugin.map), so it shares no state with the program: its log lines go through the
// host. baozi::Error crosses the boundary as usual.
//
// Thread safety: both functions are called once, by one thread; `host` lives as long as the
// program.
#pragma once

#include <cstdint>
#include <string_view>

#define BAOZI_ENGINE_EXPORT extern "C" __attribute__((visibility("default")))

namespace baozi::engine {

class Engine;

// Counts up whenever engine.h, language.h or a type it carries changes; a plug-in of another number
// is refused.
inline constexpr std::uint32_t kEngineAbi = 6;

struct EngineHost {
  // `level` is spdlog's (0 trace … 5 critical). Thread-safe.
  void (*log)(int level, std::string_view text) noexcept;
};

using EngineAbiFunction = std::uint32_t();
// The engine, owned by the caller; throws baozi::Error kFailedPrecondition when its library cannot
// be used.
using EngineCreateFunction = Engine*(const EngineHost& host);

}  // namespace baozi::engine
