#include "baozi/pipeline/steps/pictures.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <system_error>

#include "baozi/base/error.h"
#include "baozi/engine/registry.h"

namespace baozi::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFile = "libbaozi_pictures.so";

fs::path find_plugin() {
  for (const fs::path& folder : engine::engine_folders()) {
    std::error_code ignored;
    if (fs::is_regular_file(folder / kFile, ignored)) return folder / kFile;
  }
  throw Error(Code::kNotFound,
              fmt::format("images need {}, which is not beside the engines; install it, or name "
                          "its folder with BAOZI_ENGINE_PATH",
                          kFile));
}

}  // namespace

std::unique_ptr<Pictures> open_pictures(const fs::path& file) {
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error(Code::kFailedPrecondition,
                fmt::format("{} cannot be opened: {}", file.string(), ::dlerror()));
  }
  auto* abi = reinterpret_cast<std::uint32_t (*)()>(::dlsym(library, "baozi_pictures_abi"));
  auto* create = reinterpret_cast<Pictures* (*)()>(::dlsym(library, "baozi_pictures_create"));
  if (abi == nullptr || create == nullptr || abi() != kPicturesAbi) {
    throw Error(Code::kFailedPrecondition,
                fmt::format("{} belongs to another version of baozi; build or install the one that "
                            "belongs to this version",
                            file.string()));
  }
  return std::unique_ptr<Pictures>(create());
}

Pictures& pictures() {
  static Pictures& opened = *open_pictures(find_plugin()).release();
  return opened;
}

}  // namespace baozi::pipeline
