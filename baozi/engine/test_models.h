// Where the tests find the models that setup prepares.
//
// Thread safety: free functions.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string_view>

namespace baozi::engine {

// $BAOZI_CACHE, else .cache in the checkout.
inline std::filesystem::path cache_folder() {
  const char* named = std::getenv("BAOZI_CACHE");
  return named != nullptr ? std::filesystem::path(named)
                          : std::filesystem::path(BAOZI_SOURCE_DIR) / ".cache";
}

inline std::filesystem::path test_model(std::string_view name) {
  return cache_folder() / "models" / name / "1" / "model.onnx";
}

inline std::filesystem::path hostile_model(std::string_view name) {
  return cache_folder() / "hostile" / name / "1" / "model.onnx";
}

}  // namespace baozi::engine
