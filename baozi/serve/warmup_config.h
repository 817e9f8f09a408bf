// WarmupConfig: how a model or pipeline is warmed up before it is ready, from the key `warmup` of
// the config file; docs/warm-up.md explains it.
//
// Constant once loaded.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "baozi/serve/yaml_reader.h"

namespace baozi::serve {

struct WarmupConfig {
  bool enabled = true;
  // A file of samples, or a folder of such; empty: those beside the model, else those recorded,
  // else synthesised ones.
  std::filesystem::path samples;
  std::chrono::milliseconds budget{500};
  double tolerance = 1e-3;  // of expected outputs
  bool record = false;      // samples from traffic
  std::string redact;       // what happens to their values: "" nothing, "zero", or a plug-in's
};

WarmupConfig read_warmup(YamlReader reader, const std::filesystem::path& base);

}  // namespace baozi::serve
