#include "apps/one_shot.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/pipeline/plugin.h"
#include "baozi/serve/server.h"

namespace baozi::apps {
namespace {

// The name to run when the user gave none.
std::string only_name(const serve::Config& config) {
  std::vector<std::string> names;
  for (const auto& pipeline : config.pipelines) names.push_back(pipeline.name);
  if (names.empty()) {
    for (const auto& model : config.models) names.push_back(model.name);
  }
  if (names.size() == 1) return names.front();
  throw Error(Code::kInvalidArgument,
              fmt::format("say which with --name: {}", fmt::join(names, ", ")));
}

bool is_pipeline(const serve::Config& config, const std::string& name) {
  return std::ranges::any_of(config.pipelines,
                             [&](const auto& pipeline) { return pipeline.name == name; });
}

}  // namespace

OneShot::OneShot(const std::filesystem::path& path)
    : config_(serve::config_for(path)),
      cpu_(config_.cpu_threads > 0 ? config_.cpu_threads
                                   : static_cast<int>(std::thread::hardware_concurrency())),
      loader_(config_, repository_, serve::ready_registry(), cpu_) {
  for (const auto& plugin : config_.plugins) pipeline::load_plugin(plugin);
}

std::shared_ptr<model::Servable> OneShot::open(const std::string& name) {
  const std::string wanted = name.empty() ? only_name(config_) : name;
  if (is_pipeline(config_, wanted)) {
    // Which models a pipeline needs is its own affair, so all are there before it is made.
    for (const auto& model : config_.models) loader_.load(model.name, {});
  }
  loader_.load(wanted, {});
  return repository_.find(wanted, "");
}

}  // namespace baozi::apps
