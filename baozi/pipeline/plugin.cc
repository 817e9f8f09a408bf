#include "baozi/pipeline/plugin.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "baozi/base/error.h"

namespace baozi::pipeline {

void load_plugin(const std::filesystem::path& file, Registry& target) {
  if (!std::filesystem::is_regular_file(file)) {
    throw Error(Code::kNotFound, fmt::format("plug-in {} is not there", file.string()));
  }
  // An absolute path, so that dlopen does not search the library folders for a bare name.
  void* handle = ::dlopen(std::filesystem::absolute(file).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* why = ::dlerror();
    throw Error(Code::kFailedPrecondition,
                fmt::format("plug-in {} cannot be opened: {}", file.string(),
                            why != nullptr ? why : "unknown"));
  }
  const auto* abi = static_cast<const std::uint32_t*>(::dlsym(handle, "baozi_plugin_abi"));
  auto* add = reinterpret_cast<void (*)(Registry&)>(::dlsym(handle, "baozi_plugin_register"));
  if (abi == nullptr || add == nullptr) {
    ::dlclose(handle);
    throw Error(
        Code::kFailedPrecondition,
        fmt::format("plug-in {} has no BAOZI_PLUGIN(registry) {{ … }} in it", file.string()));
  }
  if (*abi != kPluginAbi) {
    const std::uint32_t theirs = *abi;
    ::dlclose(handle);
    throw Error(
        Code::kFailedPrecondition,
        fmt::format(
            "plug-in {} was built against plug-in ABI {}, but this baozi has {}; rebuild it",
            file.string(), theirs, kPluginAbi));
  }
  // From here on its code may be referred to, so it is never closed.
  add(target);
}

}  // namespace baozi::pipeline
