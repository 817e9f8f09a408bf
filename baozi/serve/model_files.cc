#include "baozi/serve/model_files.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/engine/file_stamp.h"
#include "baozi/engine/onnx_file/model_scan.h"

namespace baozi::serve {
namespace {

namespace fs = std::filesystem;

std::string own_stamp(const fs::path& model) { return engine::file_stamp(model).value_or(""); }

// Stamps have no spaces, so that one of the model's own file alone is known to be that.
std::string joined(std::string own, const std::vector<fs::path>& others) {
  if (own.empty()) return own;
  for (const fs::path& other : others) own += ' ' + engine::file_stamp(other).value_or("gone");
  return own;
}

}  // namespace

std::vector<fs::path> ModelFiles::others_of(const fs::path& model, const std::string& stamp) {
  if (model.extension() != ".onnx" || stamp.empty()) return {};
  {
    const std::lock_guard lock(mutex_);
    const auto at = known_.find(model);
    if (at != known_.end() && at->second.stamp == stamp) return at->second.others;
  }
  std::vector<fs::path> others;
  try {
    const fs::path folder = fs::canonical(model).parent_path();
    for (const fs::path& file : engine::scan_model(model).external_files)
      others.push_back(model.parent_path() / file.lexically_relative(folder));
  } catch (const Error&) {
    return {};  // looked at again the next time: the missing weights may come
  } catch (const fs::filesystem_error&) {
    return {};
  }
  const std::lock_guard lock(mutex_);
  known_[model] = {stamp, others};
  return others;
}

std::vector<fs::path> ModelFiles::of(const fs::path& model) {
  std::vector<fs::path> files = others_of(model, own_stamp(model));
  files.insert(files.begin(), model);
  return files;
}

std::string ModelFiles::stamp(const fs::path& model) {
  std::string own = own_stamp(model);
  const std::vector<fs::path> others = others_of(model, own);
  return joined(std::move(own), others);
}

std::string ModelFiles::known_stamp(const fs::path& model) {
  std::string own = own_stamp(model);
  std::vector<fs::path> others;
  {
    const std::lock_guard lock(mutex_);
    const auto at = known_.find(model);
    if (at != known_.end() && at->second.stamp == own) others = at->second.others;
  }
  return joined(std::move(own), others);
}

std::string ModelFiles::stamp_at(const fs::path& model, const std::string& known, SystemTime then) {
  std::string own = own_stamp(model);
  if (known != own) return known;  // it was whole, or is another file by now
  const std::vector<fs::path> others = others_of(model, own);
  const bool changed = std::ranges::any_of(
      others, [&](const fs::path& file) { return engine::changed_since(file, then); });
  return changed ? known : joined(std::move(own), others);
}

}  // namespace baozi::serve
