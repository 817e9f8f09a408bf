// InstancesConfig: how many instances a model has, from the key `instances` of the config file: a
// number, or bounds between which they grow and shrink; docs/life-cycle.md explains it.
//
// Constant once loaded.
#pragma once

#include <chrono>

#include "baozi/serve/yaml_reader.h"

namespace baozi::serve {

struct InstancesConfig {
  static constexpr int kMax = 256;

  int least = 0;         // 0: one a core
  int most = 0;          // 0: as many as `least`, so they neither grow …
  bool elastic = false;  // … nor shrink
  std::chrono::milliseconds shrink_after{30'000};
};

// `key` of `model`: a whole number or a mapping.
InstancesConfig read_instances(YamlReader& model);

}  // namespace baozi::serve
