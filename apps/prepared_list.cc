#include "apps/prepared_list.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "baozi/base/replace_file.h"
#include "baozi/engine/cpu_features.h"
#include "baozi/engine/prepared_store.h"

namespace baozi::apps {
namespace {

using engine::PreparedStore;

double megabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / 1e6; }

std::string local_time(std::filesystem::file_time_type time) {
  const auto system = std::chrono::file_clock::to_sys(time);
  const std::time_t seconds = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(system));
  return fmt::format("{:%Y-%m-%d %H:%M}", fmt::localtime(seconds));
}

// Why nobody on this machine will load it; empty when somebody may.
std::string uselessness(const PreparedStore& store, const PreparedStore::Artefact& artefact) {
  std::error_code failed;
  if (!std::filesystem::exists(artefact.manifest.source, failed)) return "its model is gone";
  const std::optional<PreparedStore::Source> now = store.remembered(artefact.manifest.source);
  if (now && now->digest != artefact.manifest.key.model) return "its model has changed";
  return {};
}

std::string remark(const PreparedStore& store, const PreparedStore::Artefact& artefact) {
  const std::string useless = uselessness(store, artefact);
  if (!useless.empty()) return fmt::format(" ({})", useless);
  // A folder may be shared by machines.
  if (artefact.manifest.key.machine != engine::cpu_features()) return " (for another processor)";
  return "";
}

}  // namespace

int list_prepared(const engine::PreparedOptions& options) {
  const PreparedStore store(options);
  const std::vector<PreparedStore::Artefact> artefacts = store.list();
  std::uint64_t total = 0;
  for (const PreparedStore::Artefact& each : artefacts) {
    fmt::print("{:>10.1f} MB  {}  {:<14} {}{}\n", megabytes(each.bytes), local_time(each.used),
               each.manifest.key.engine, each.manifest.source, remark(store, each));
    total += each.bytes;
  }
  fmt::print("{:>10.1f} MB of at most {:.1f} in {}, {}\n", megabytes(total),
             megabytes(options.bytes_max), options.folder.string(),
             artefacts.size() == 1 ? "1 artefact" : fmt::format("{} artefacts", artefacts.size()));
  return 0;
}

int prune_prepared(const engine::PreparedOptions& options, bool all,
                   const std::vector<std::filesystem::path>& folders) {
  const PreparedStore store(options);
  const PreparedStore::Pruned pruned = store.prune([&](const PreparedStore::Artefact& each) {
    return !all && uselessness(store, each).empty();
  });
  fmt::print("removed {} of {:.1f} MB from {}\n",
             pruned.artefacts == 1 ? "1 artefact" : fmt::format("{} artefacts", pruned.artefacts),
             megabytes(pruned.bytes), options.folder.string());
  std::size_t left = 0;
  for (const std::filesystem::path& folder : folders) left += remove_leftovers(folder);
  if (left > 0) {
    fmt::print("removed {} that killed processes left\n",
               left == 1 ? "1 file" : fmt::format("{} files", left));
  }
  return 0;
}

}  // namespace baozi::apps
