#include "baozi/keeper/upstream_file.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/replace_file.h"
#include "baozi/keeper/command.h"

namespace baozi::keeper {
namespace {

namespace fs = std::filesystem;

constexpr ReplaceOptions kReadable{.mode = 0644};  // it holds no secret; nginx may be another user
constexpr std::uintmax_t kBytesMax = 1 << 20;      // of a file that could be ours

std::optional<std::string> read(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);  // of regular files only
  if (error) return std::nullopt;
  if (size > kBytesMax)
    throw Error(
        Code::kFailedPrecondition,
        fmt::format("{} is too large to be an upstream file; is --output right?", path.string()));
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw Error(Code::kPermissionDenied,
                fmt::format("{} cannot be read; run as a user who may", path.string()));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void remove_file(const fs::path& path) {
  std::error_code error;
  fs::remove(path, error);
  if (error)
    throw Error(Code::kUnavailable, fmt::format("{} cannot be removed: {}; remove it by hand",
                                                path.string(), error.message()));
}

}  // namespace

UpstreamFile::UpstreamFile(fs::path path, Options options)
    : path_(std::move(path)), before_(path_.string() + ".before"), options_(std::move(options)) {
  std::error_code ignored;
  if (fs::is_directory(path_, ignored))
    throw Error(Code::kInvalidArgument,
                fmt::format("{} is a folder; name a file in it with --output", path_.string()));
  if (path_.has_parent_path()) remove_leftovers(path_.parent_path());
}

std::optional<std::string> UpstreamFile::in_force() const {
  std::error_code ignored;
  if (fs::exists(before_, ignored)) return std::nullopt;
  return read(path_);
}

bool UpstreamFile::holds(std::string_view text) const noexcept {
  try {
    const std::optional<std::string> held = read(path_);
    return held && *held == text;
  } catch (const std::exception&) {
    return false;
  }
}

UpstreamFile::Change UpstreamFile::change(const std::string& text) {
  std::optional<std::string> old = read(before_);
  if (!old) {
    old = read(path_).value_or("");
    replace_file(before_, {*old}, kReadable);
  }
  replace_file(path_, {text}, kReadable);
  if (Outcome test = run_command(options_.test, options_.limit); !test.ok) {
    replace_file(path_, {*old}, kReadable);
    remove_file(before_);
    return {Result::kRefused, std::move(test.said)};
  }
  if (Outcome reload = run_command(options_.reload, options_.limit); !reload.ok)
    return {Result::kNotReloaded, std::move(reload.said)};
  remove_file(before_);
  return {Result::kDone, {}};
}

}  // namespace baozi::keeper
