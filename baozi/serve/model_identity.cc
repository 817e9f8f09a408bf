#include "baozi/serve/model_identity.h"

#include <fmt/format.h>

#include <set>
#include <system_error>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/file_stamp.h"
#include "baozi/model/hasher.h"

namespace baozi::serve {
namespace {

namespace fs = std::filesystem;
using model::Hasher;

bool is_model(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension == ".onnx" || extension == ".gguf" || extension == ".fake";
}

// The file itself, those that hold its weights, and what is named after it.
std::set<fs::path> files_of(const fs::path& model, ModelFiles& model_files) {
  const std::vector<fs::path> own = model_files.of(model);
  std::set<fs::path> files(own.begin(), own.end());
  const std::string stem = model.stem().string();
  std::error_code error;  // a folder that cannot be read is told when the file is
  for (const auto& entry : fs::directory_iterator(model.parent_path(), error)) {
    const fs::path& path = entry.path();
    if (entry.is_regular_file() && !is_model(path) && path.filename().string().starts_with(stem))
      files.insert(path);
  }
  return files;
}

std::string stamp_of(const std::set<fs::path>& files) {
  std::string stamp;
  for (const fs::path& path : files)
    stamp += fmt::format("{} {}\n", path.string(), engine::file_stamp(path).value_or(""));
  return stamp;
}

void add_file(Hasher& hasher, const fs::path& path) {
  hasher.add(path.filename().string());
  hasher.add(engine::checksum_of(path, {}).digest);
}

}  // namespace

std::string ModelIdentities::of(const ModelVersion& version) {
  const std::set<fs::path> files = files_of(version.file, files_);
  Known& known = known_[version.file];
  std::string stamp = stamp_of(files);
  if (known.stamp == stamp) return known.digest;
  Hasher hasher;
  for (const fs::path& path : files) add_file(hasher, path);
  known = {std::move(stamp), model::to_string(hasher.digest())};
  return known.digest;
}

std::string ModelIdentities::of(const PipelineConfig& pipeline, const Config& config) {
  Hasher hasher;
  hasher.add(pipeline.type);
  for (const auto& [key, value] : pipeline.options) {
    hasher.add(key);
    hasher.add(value);
  }
  for (const fs::path& plugin : config.plugins) add_file(hasher, plugin);
  for (const ModelConfig& model : config.models) {
    hasher.add(model.name);
    try {
      for (const ModelVersion& version : find_versions(model.path)) hasher.add(of(version));
    } catch (const Error&) {
      hasher.add("absent");  // whether the pipeline needs it is seen when it is made
    }
  }
  return model::to_string(hasher.digest());
}

}  // namespace baozi::serve
