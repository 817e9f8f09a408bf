#include "baozi/engine/llama/llama_chat.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/registry.h"

namespace baozi::engine {
namespace {

struct Opened {
  const LlamaChatLibrary* library = nullptr;
  std::string why;
};

constexpr const char* kFile = "libbaozi_llama_chat.so";

// Beside the plug-in, whose code this is; a test has it in its own program.
std::filesystem::path find_file() {
  std::vector<std::filesystem::path> folders = engine_folders();
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&llama_chat_library), &info) != 0)
    folders.insert(folders.begin(), std::filesystem::path(info.dli_fname).parent_path());
  for (const std::filesystem::path& folder : folders) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(folder / kFile, ignored)) return folder / kFile;
  }
  return {};
}

// It stays open for good.
Opened open_library() {
  const std::filesystem::path file = find_file();
  if (file.empty()) {
    return {nullptr,
            "this build of baozi is without llama.cpp's common library, so it has no tools "
            "and no JSON schemas, and only common chat templates"};
  }
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return {nullptr, fmt::format("{} cannot be opened: {}", file.string(), ::dlerror())};
  auto* function =
      reinterpret_cast<LlamaChatLibraryFunction*>(::dlsym(library, "baozi_llama_chat_library"));
  if (function == nullptr)
    return {nullptr, fmt::format("{} is not of this version of baozi", file.string())};
  return {function(), ""};
}

const Opened& opened() {
  static const Opened once = open_library();
  return once;
}

}  // namespace

bool has_llama_chat_library() { return opened().library != nullptr; }

const LlamaChatLibrary& llama_chat_library() {
  if (opened().library == nullptr) throw Error(Code::kFailedPrecondition, opened().why);
  return *opened().library;
}

}  // namespace baozi::engine
