#include "baozi/serve/instances_config.h"

#include <fmt/format.h>

namespace baozi::serve {
namespace {

constexpr std::int64_t kDayMs = 86'400'000;

}  // namespace

InstancesConfig read_instances(YamlReader& model) {
  InstancesConfig instances;
  if (!model.has_mapping("instances")) {
    instances.least = static_cast<int>(model.integer("instances", 0, 0, 1024));
    return instances;
  }
  YamlReader reader = model.child("instances");
  instances.elastic = true;
  instances.least = static_cast<int>(reader.integer("min", 1, 1, InstancesConfig::kMax));
  instances.most = static_cast<int>(reader.integer("max", 0, 1, InstancesConfig::kMax));
  instances.shrink_after = std::chrono::milliseconds(
      reader.integer("shrink_after_ms", instances.shrink_after.count(), 10, kDayMs));
  if (!reader.has("max")) reader.fail("it needs 'max': how many instances there may be at most");
  if (instances.most < instances.least) {
    reader.fail(fmt::format("'max' is {}, but must be at least 'min', which is {}", instances.most,
                            instances.least),
                "max");
  }
  reader.finish();
  return instances;
}

}  // namespace baozi::serve
