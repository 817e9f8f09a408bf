#include "baozi/engine/registry.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <sstream>
#include <system_error>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/engine/plugin.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "libbaozi_engine_";
constexpr std::string_view kSuffix = ".so";

struct Registry {
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<Engine>, std::less<>>
      engines;  // guarded by mutex; never erased
};

// Leaked on purpose: models may be freed while static objects are being destroyed.
Registry& registry() {
  static auto* instance = new Registry;
  return *instance;
}

void host_log(int level, std::string_view text) noexcept {
  log().log(static_cast<spdlog::level::level_enum>(level), text);
}

constexpr EngineHost kHost{&host_log};

std::vector<std::string> folder_names() {
  std::vector<std::string> names;
  for (const fs::path& folder : engine_folders()) names.push_back(folder.string());
  return names;
}

fs::path find_plugin(std::string_view name) {
  const std::string file = fmt::format("{}{}{}", kPrefix, name, kSuffix);
  for (const fs::path& folder : engine_folders()) {
    std::error_code ignored;
    if (fs::is_regular_file(folder / file, ignored)) return folder / file;
  }
  throw Error(
      Code::kNotFound,
      fmt::format("there is no engine '{}': {} is in none of the folders {}; name its folder with "
                  "BAOZI_ENGINE_PATH, or install the engine",
                  name, file, fmt::join(folder_names(), ", ")));
}

template <class Function>
Function* find_symbol(void* library, const char* name, const fs::path& file) {
  if (auto* symbol = reinterpret_cast<Function*>(::dlsym(library, name))) return symbol;
  throw Error(
      Code::kFailedPrecondition,
      fmt::format("{} is not an engine of baozi: it does not export {}", file.string(), name));
}

// The library stays open for good: the engine's code may run until the process ends.
std::unique_ptr<Engine> open_plugin(const fs::path& file) {
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error(Code::kFailedPrecondition,
                fmt::format("engine {} cannot be opened: {}", file.string(), ::dlerror()));
  }
  auto* abi = find_symbol<EngineAbiFunction>(library, "baozi_engine_abi", file);
  auto* create = find_symbol<EngineCreateFunction>(library, "baozi_engine_create", file);
  if (abi() != kEngineAbi) {
    throw Error(
        Code::kFailedPrecondition,
        fmt::format(
            "engine {} was built for another version of baozi (interface {}, this program has {}); "
            "build or install the one that belongs to this version",
            file.string(), abi(), kEngineAbi));
  }
  return std::unique_ptr<Engine>(create(kHost));
}

Engine& add_locked(Registry& known, std::string name, std::unique_ptr<Engine> engine) {
  const auto [at, added] = known.engines.try_emplace(std::move(name), std::move(engine));
  if (!added)
    throw Error(Code::kAlreadyExists, fmt::format("there is an engine '{}' already", at->first));
  return *at->second;
}

Engine& open_locked(Registry& known, std::string_view name) {
  const auto at = known.engines.find(name);
  if (at != known.engines.end()) return *at->second;
  return add_locked(known, std::string(name), open_plugin(find_plugin(name)));
}

Engine* accepting_locked(const Registry& known, const fs::path& file) {
  for (const auto& [name, engine] : known.engines) {
    if (engine->accepts(file)) return engine.get();
  }
  return nullptr;
}

// The plug-ins there are, by the names of their files.
std::vector<std::string> plugin_names() {
  std::vector<std::string> names;
  for (const fs::path& folder : engine_folders()) {
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
      const std::string file = entry.path().filename().string();
      if (!file.starts_with(kPrefix) || !file.ends_with(kSuffix)) continue;
      names.push_back(file.substr(kPrefix.size(), file.size() - kPrefix.size() - kSuffix.size()));
    }
  }
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

}  // namespace

std::vector<fs::path> engine_folders() {
  std::vector<fs::path> folders;
  if (const char* listed = std::getenv("BAOZI_ENGINE_PATH")) {
    std::istringstream parts{std::string(listed)};
    for (std::string part; std::getline(parts, part, ':');) {
      if (!part.empty()) folders.emplace_back(part);
    }
  }
  std::error_code failed;
  const fs::path program = fs::read_symlink("/proc/self/exe", failed);
  if (!failed) {
    const fs::path bin = program.parent_path();
    for (const fs::path& folder :
         {bin, bin.parent_path() / "lib", bin.parent_path() / "lib" / "baozi"}) {
      folders.push_back(folder);
    }
  }
  folders.emplace_back(BAOZI_ENGINE_INSTALL_DIR);
  return folders;
}

Engine& register_engine(std::unique_ptr<Engine> engine) {
  Registry& known = registry();
  std::string name(engine->name());
  const std::lock_guard lock(known.mutex);
  return add_locked(known, std::move(name), std::move(engine));
}

std::vector<std::string> engine_names() {
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  std::vector<std::string> names;
  for (const auto& entry : known.engines) names.push_back(entry.first);
  return names;
}

Engine& open_engine(std::string_view name) {
  if (name.empty() || name.find('/') != std::string_view::npos) {
    throw Error(Code::kInvalidArgument, fmt::format("'{}' is not the name of an engine", name));
  }
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  return open_locked(known, name);
}

Engine& engine_for(const fs::path& file) {
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  if (Engine* engine = accepting_locked(known, file)) return *engine;
  // Most engines are named after their files, so that this opens no other one in vain.
  std::vector<std::string> names = plugin_names();
  const std::string extension = file.extension().string();
  const auto namesake =
      std::ranges::find_if(names, [&](const std::string& name) { return "." + name == extension; });
  if (namesake != names.end()) std::rotate(names.begin(), namesake, namesake + 1);
  for (const std::string& name : names) {
    if (known.engines.contains(name)) continue;
    try {
      Engine& engine = open_locked(known, name);
      if (engine.accepts(file)) return engine;
    } catch (const Error& error) {
      log().warn("{}", error.message());
    }
  }
  std::vector<std::string_view> tried;
  for (const auto& entry : known.engines) tried.push_back(entry.first);
  throw Error(
      Code::kInvalidArgument,
      fmt::format(
          "no engine takes the file {}; the engines there are: {} (plug-ins are looked for in {})",
          file.string(), tried.empty() ? "none" : fmt::format("{}", fmt::join(tried, ", ")),
          fmt::join(folder_names(), ", ")));
}

}  // namespace baozi::engine
