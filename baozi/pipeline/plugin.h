// Plug-in pipelines: a shared object with pipelines of yours, for `baozi serve --plugin
// libmine.so`.
//
//   #include <baozi/pipeline/plugin.h>
//   BAOZI_PLUGIN(registry) {
//     registry.add("caption", &make_caption);
//   }
//
// Thread safety: load_plugin, any thread.
#pragma once

#include <cstdint>
#include <filesystem>

#include "baozi/pipeline/pipeline.h"

namespace baozi::pipeline {

// Counts up whenever a type that a plug-in sees changes; a plug-in of another number is refused.
inline constexpr std::uint32_t kPluginAbi = 2;

// Opens the shared object and lets it register its pipelines. It stays open for the life of the
// program. Errors: kNotFound (no such file), kFailedPrecondition (not a shared object, no
// BAOZI_PLUGIN in it, or built against another version of baozi), and what the plug-in's own
// registration throws.
void load_plugin(const std::filesystem::path& file, Registry& target = registry());

}  // namespace baozi::pipeline

#define BAOZI_PLUGIN(registry_name)                                       \
  extern "C" {                                                            \
  extern const std::uint32_t baozi_plugin_abi;                            \
  const std::uint32_t baozi_plugin_abi = ::baozi::pipeline::kPluginAbi;   \
  void baozi_plugin_register(::baozi::pipeline::Registry& registry_name); \
  }                                                                       \
  void baozi_plugin_register(::baozi::pipeline::Registry& registry_name)
