// CascadeConfig: a small and a large model that answer for each other, from the key `cascades` of
// the config file; docs/cold-start.md explains it.
//
// Constant once loaded.
#pragma once

#include <optional>
#include <string>

#include "baozi/serve/yaml_reader.h"

namespace baozi::serve {

struct Config;

struct CascadeConfig {
  std::string name;
  std::string small;  // names of models, pipelines or other cascades
  std::string large;
  std::optional<double> threshold = std::nullopt;  // of the small one's confidence
  std::string output;                              // of probabilities, for the threshold
  bool logits = false;                             // softmax makes probabilities of it
  bool fall_back = false;                          // to the small one where the large one fails
};

CascadeConfig read_cascade(YamlReader& reader);

// Once all names are known. Errors: kInvalidArgument for models that are not there, for cascades
// that stand for each other, and for a cached pipeline over a cascade, whose answers change.
void check_cascades(const Config& config);

}  // namespace baozi::serve
