// Where the tests find the models that setup prepares, and a folder for files of their own. Tests only.
//
// Thread safety: free functions; a ScratchFolder belongs to one test.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace baozi::engine {

// $BAOZI_CACHE, else .cache in the checkout.
inline std::filesystem::path cache_folder() {
  const char* named = std::getenv("BAOZI_CACHE");
  return named != nullptr ? std::filesystem::path(named) : std::filesystem::path(BAOZI_SOURCE_DIR) / ".cache";
}

inline std::filesystem::path test_model(std::string_view name) {
  return cache_folder() / "models" / name / "1" / "model.onnx";
}

inline std::filesystem::path hostile_model(std::string_view name) {
  return cache_folder() / "hostile" / name / "1" / "model.onnx";
}

class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "baozi-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path write(std::string_view name, std::string_view content) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace baozi::engine
