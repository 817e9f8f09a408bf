#include "apps/resources.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "baozi/base/cores.h"
#include "baozi/engine/engine.h"
#include "baozi/engine/language.h"

namespace baozi::apps {
namespace {

// The program, its engines' libraries and environments, connections, buffers.
constexpr std::size_t kProcessBytes = std::size_t{128} << 20;
constexpr double kMargin = 1.25;  // estimates leave out what allocators keep
constexpr std::size_t kMebibyte = std::size_t{1} << 20;
constexpr std::size_t kStep = 64 * kMebibyte;

int threads_of(const serve::ModelConfig& model) { return std::max(1, model.options.threads); }

// At most.
int instances_of(const serve::ModelConfig& model) {
  const int least = model.instances.least > 0 ? model.instances.least
                                              : std::max(1, usable_cores() / threads_of(model));
  return std::max(least, model.instances.most);
}

std::size_t bytes_of(const serve::ModelConfig& model, const serve::ModelVersion& version) {
  engine::Engine& engine =
      model.engine.empty() ? engine::engine_for(version.file) : engine::open_engine(model.engine);
  if (engine.of_language()) {
    return engine.load_language(version.file, model.language.engine, {})->facts().memory.total() +
           model.language.offload_bytes_max;
  }
  const auto loaded = engine.load(version.file, model.options, {});
  return loaded->memory_bytes() +
         static_cast<std::size_t>(instances_of(model) - 1) * loaded->instance_bytes();
}

bool caches(const serve::Config& config) {
  return std::ranges::any_of(config.models, [](const auto& each) { return each.cache.on; }) ||
         std::ranges::any_of(config.pipelines, [](const auto& each) { return each.cache.on; });
}

}  // namespace

Resources resources_of(const serve::Config& config) {
  Resources found;
  for (const serve::ModelConfig& model : config.models) {
    for (const serve::ModelVersion& version : serve::find_versions(model.path))
      found.models += bytes_of(model, version);
    found.cores = std::max(found.cores, instances_of(model) * threads_of(model));
  }
  if (caches(config)) found.cache = config.cache.bytes_max;
  const double all = kMargin * static_cast<double>(found.models) +
                     static_cast<double>(found.cache + kProcessBytes);
  found.memory_bytes = (static_cast<std::size_t>(all) + kStep - 1) / kStep * kStep;
  return found;
}

std::string format_resources(const Resources& resources, const std::string& config) {
  return fmt::format(
      R"(# From `baozi inspect --resources {}`. Memory: {} MiB of models as estimated and a quarter on
# top, {} MiB of response cache, {} MiB of the process. CPU: a core for each thread of the model with
# the most; no limit, as a process that is stopped in the middle of a batch keeps all in it waiting.
resources:
  requests: {{cpu: "{}", memory: {}Mi}}
  limits: {{memory: {}Mi}}
)",
      config, resources.models / kMebibyte, resources.cache / kMebibyte, kProcessBytes / kMebibyte,
      resources.cores, resources.memory_bytes / kMebibyte, resources.memory_bytes / kMebibyte);
}

}  // namespace baozi::apps
