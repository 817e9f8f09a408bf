#include "apps/one_shot.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "baozi/base/cores.h"
#include "baozi/base/error.h"
#include "baozi/pipeline/plugin.h"
#include "baozi/serve/loader.h"
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

// One request is answered sooner without.
serve::Config without_warmup(serve::Config config) {
  for (auto& model : config.models) model.warmup.enabled = false;
  for (auto& pipeline : config.pipelines) pipeline.warmup.enabled = false;
  return config;
}

}  // namespace

OneShot::OneShot(const std::filesystem::path& path)
    : config_(without_warmup(serve::config_for(path))),
      cpu_(config_.cpu_threads > 0 ? config_.cpu_threads : usable_cores()) {
  serve::ready_registry();
  for (const auto& plugin : config_.plugins) pipeline::load_plugin(plugin);
}

std::shared_ptr<model::Servable> OneShot::open(const std::string& name) {
  const std::string wanted = name.empty() ? only_name(config_) : name;
  const auto pipeline = std::ranges::find(config_.pipelines, wanted, &serve::PipelineConfig::name);
  const bool is_pipeline = pipeline != config_.pipelines.end();
  for (const serve::ModelConfig& model : config_.models) {
    // Which models a pipeline needs is its own affair, so all are there before it is made.
    if (!is_pipeline && model.name != wanted) continue;
    for (const serve::ModelVersion& version :
         serve::choose_versions(model.versions, serve::find_versions(model.path)))
      repository_.add(serve::open_model(model, version, {}));
  }
  if (is_pipeline) repository_.add(serve::open_pipeline(config_, *pipeline, repository_, cpu_));
  if (repository_.index().empty()) {
    std::vector<std::string> names;
    for (const auto& each : config_.pipelines) names.push_back(each.name);
    for (const auto& each : config_.models) names.push_back(each.name);
    throw Error(Code::kNotFound, fmt::format("'{}' is not configured; there are: {}", wanted,
                                             fmt::join(names, ", ")));
  }
  return repository_.find(wanted, "");
}

}  // namespace baozi::apps
