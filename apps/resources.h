// What a container that serves a config needs: the `resources` of a Kubernetes manifest, from what
// the engines estimate of the models.
//
//   Resources resources = resources_of(config);
//   fmt::print("{}", format_resources(resources, "baozi.yaml"));
//
// Thread safety: free functions.
#pragma once

#include <cstddef>
#include <string>

#include "baozi/serve/config.h"

namespace baozi::apps {

struct Resources {
  std::size_t models = 0;        // bytes: weights, instances, KV memory
  std::size_t cache = 0;         // bytes of the response cache, where there is one
  std::size_t memory_bytes = 0;  // all of it, with the process and a margin
  int cores = 1;                 // that the model with the most threads keeps busy
};

// Loads each model once, one after the other. Errors: as the engines'.
Resources resources_of(const serve::Config& config);

// YAML, as in values.yaml of the Helm chart; says how it came about.
std::string format_resources(const Resources& resources, const std::string& config);

}  // namespace baozi::apps
