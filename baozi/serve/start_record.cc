#include "baozi/serve/start_record.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/base/replace_file.h"

namespace baozi::serve {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int kVersion = 1;
constexpr double kHalfLifeSeconds = 24 * 60 * 60;
constexpr double kForgotten = 0.01;  // fewer uses than this are none
constexpr double kUsesMax = 1e15;
constexpr std::int64_t kLoadMsMax = 86'400'000;
constexpr std::int64_t kSavedMax = 253'402'300'799;  // the last second of the year 9999
constexpr std::size_t kBytesMax = 8 << 20;

std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text;
  if (stream) text.assign(std::istreambuf_iterator<char>(stream), {});
  return text;
}

}  // namespace

StartRecord::StartRecord(fs::path file, SystemTime now) : file_(std::move(file)), at_(now) {
  std::error_code error;
  if (file_.empty() || !fs::exists(file_, error)) return;
  try {
    if (fs::file_size(file_) > kBytesMax) throw Error(Code::kDataLoss, "it is too large");
    read(text_of(file_));
  } catch (const std::exception& why) {
    models_.clear();
    at_ = now;
    log().warn("{} is not read, the order of loading is that of the config: {}", file_.string(),
               why.what());
  }
  decay(now);
}

void StartRecord::read(const std::string& text) {
  const YAML::Node root = YAML::Load(text);
  if (!root.IsMap() || root["version"].as<int>() != kVersion)
    throw Error(Code::kDataLoss, "it is of another version");
  const auto saved = root["saved"].as<std::int64_t>();
  if (saved < 0 || saved > kSavedMax) throw Error(Code::kDataLoss, "its time is absurd");
  at_ = SystemTime(std::chrono::seconds(saved));
  for (const YAML::Node& each : root["models"]) {
    const auto uses = each["uses"].as<double>();
    const auto load = each["load_ms"].as<std::int64_t>();
    if (!(uses >= 0 && uses <= kUsesMax) || load < 0 || load > kLoadMsMax)
      throw Error(Code::kDataLoss, "a number in it is absurd");
    models_[each["name"].as<std::string>()] = {uses, milliseconds(load),
                                               each["bytes"].as<std::size_t>()};
  }
}

// A clock that was set back decays nothing.
void StartRecord::decay(SystemTime now) {
  const double seconds = static_cast<double>((now - at_).count());
  at_ = now;
  if (seconds <= 0) return;
  const double left = std::exp2(-seconds / kHalfLifeSeconds);
  for (auto& [name, model] : models_) {
    model.uses *= left;
    if (model.uses < kForgotten) model.uses = 0;
  }
}

double StartRecord::uses(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto at = models_.find(name);
  return at == models_.end() ? 0 : at->second.uses;
}

Duration StartRecord::load_time(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto at = models_.find(name);
  return at == models_.end() ? Duration::zero() : at->second.load;
}

std::size_t StartRecord::bytes(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto at = models_.find(name);
  return at == models_.end() ? 0 : at->second.bytes;
}

void StartRecord::used(std::string_view name, std::uint64_t times) {
  if (times == 0) return;
  const std::lock_guard lock(mutex_);
  double& uses = models_[std::string(name)].uses;
  uses = std::min(uses + static_cast<double>(times), kUsesMax);
}

void StartRecord::loaded(std::string_view name, Duration took, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  Model& model = models_[std::string(name)];
  model.load = took;
  model.bytes = bytes;
}

void StartRecord::save(SystemTime now) {
  if (file_.empty()) return;
  YAML::Emitter out;
  {
    const std::lock_guard lock(mutex_);
    decay(now);
    out << YAML::Comment("What baozi remembers of its last start; may be removed.")
        << YAML::BeginMap << YAML::Key << "version" << YAML::Value << kVersion << YAML::Key
        << "saved" << YAML::Value << now.time_since_epoch().count() << YAML::Key << "models"
        << YAML::Value << YAML::BeginSeq;
    for (const auto& [name, model] : models_) {
      const auto load = std::chrono::duration_cast<milliseconds>(model.load).count();
      out << YAML::Flow << YAML::BeginMap << YAML::Key << "name" << YAML::Value
          << YAML::DoubleQuoted << name << YAML::Key << "uses" << YAML::Value << model.uses
          << YAML::Key << "load_ms" << YAML::Value << std::clamp<std::int64_t>(load, 0, kLoadMsMax)
          << YAML::Key << "bytes" << YAML::Value << model.bytes << YAML::EndMap;
    }
    out << YAML::EndSeq << YAML::EndMap;
  }
  replace_file(file_, {out.c_str(), "\n"});
}

fs::path default_start_record(const fs::path& config) {
  fs::path folder;
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') {
    folder = state;
  } else if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/') {
    folder = fs::path(home) / ".local/state";
  } else {
    return {};
  }
  const std::size_t hash = std::hash<std::string>()(fs::absolute(config).lexically_normal());
  return folder / "baozi/starts" / fmt::format("{:016x}.yaml", hash);
}

}  // namespace baozi::serve
