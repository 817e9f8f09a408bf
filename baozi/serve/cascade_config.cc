#include "baozi/serve/cascade_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/serve/config.h"

namespace baozi::serve {
namespace {

[[noreturn]] void fail(const Config& config, const std::string& message) {
  throw Error(Code::kInvalidArgument, fmt::format("{}: {}", config.file.string(), message));
}

const CascadeConfig* cascade_of(const Config& config, const std::string& name) {
  const auto at = std::ranges::find(config.cascades, name, &CascadeConfig::name);
  return at == config.cascades.end() ? nullptr : &*at;
}

// The names that may be meant by what a pipeline's options or a cascade say.
std::vector<std::string> parts_of(const Config& config, const std::string& name) {
  if (const CascadeConfig* cascade = cascade_of(config, name))
    return {cascade->small, cascade->large};
  std::vector<std::string> parts;
  const auto pipeline = std::ranges::find(config.pipelines, name, &PipelineConfig::name);
  if (pipeline == config.pipelines.end()) return parts;
  for (const auto& [option, value] : pipeline->options) parts.push_back(value);
  return parts;
}

// Whether `to` is among what `from` is made of, whatever the depth.
bool leads_to(const Config& config, const std::string& from, const auto& to,
              std::set<std::string> seen = {}) {
  for (const std::string& part : parts_of(config, from)) {
    if (to(part)) return true;
    if (seen.insert(part).second && leads_to(config, part, to, seen)) return true;
  }
  return false;
}

}  // namespace

CascadeConfig read_cascade(YamlReader& reader) {
  CascadeConfig cascade;
  cascade.name = reader.required_text("name");
  cascade.small = reader.required_text("small");
  cascade.large = reader.required_text("large");
  if (cascade.small == cascade.large)
    reader.fail(fmt::format("'small' and 'large' are the same, '{}'", cascade.small), "large");
  const double threshold = reader.number("threshold", 0, 0, 1);
  if (reader.has("threshold")) cascade.threshold = threshold;
  cascade.output = reader.text("output", "");
  cascade.logits = reader.boolean("logits", false);
  for (const char* key : {"output", "logits"}) {
    if (reader.has(key) && !cascade.threshold)
      reader.fail(fmt::format("'{}' is for the 'threshold'; give that, too", key), key);
  }
  cascade.fall_back = reader.boolean("fall_back", false);
  reader.finish();
  return cascade;
}

void check_cascades(const Config& config) {
  std::set<std::string> names;
  for (const ModelConfig& model : config.models) names.insert(model.name);
  for (const PipelineConfig& pipeline : config.pipelines) names.insert(pipeline.name);
  for (const CascadeConfig& cascade : config.cascades) names.insert(cascade.name);
  for (const CascadeConfig& cascade : config.cascades) {
    for (const std::string& part : {cascade.small, cascade.large}) {
      if (names.contains(part)) continue;
      fail(config, fmt::format("cascade '{}' names '{}', which is not served; there are: {}",
                               cascade.name, part, fmt::join(names, ", ")));
    }
    const auto itself = [&](const std::string& part) { return part == cascade.name; };
    if (leads_to(config, cascade.name, itself))
      fail(config, fmt::format("cascade '{}' leads back to itself", cascade.name));
  }
  const auto is_cascade = [&](const std::string& part) {
    return cascade_of(config, part) != nullptr;
  };
  for (const PipelineConfig& pipeline : config.pipelines) {
    if (!pipeline.cache.on || !leads_to(config, pipeline.name, is_cascade)) continue;
    fail(config, fmt::format("pipeline '{}' has a 'cache' and uses a cascade, which gives other "
                             "answers once its large model is there; give the cascade's models "
                             "the cache instead",
                             pipeline.name));
  }
}

}  // namespace baozi::serve
