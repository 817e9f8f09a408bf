// WarmupSample: one request that a model is warmed up and proved with, and what it should answer.
//
// Thread safety: values; the tensors' memory is shared and read-only.
#pragma once

#include <cstdint>
#include <string>

#include "baozi/base/tensor.h"

namespace baozi::model {

// Decides what a failure means: a model that cannot answer what its owner says it answers is
// broken; one that cannot answer what was made up, or was asked of an earlier version, may be fine.
enum class SampleOrigin : std::uint8_t {
  kSynthesised,  // from the signature, or by a pipeline
  kGiven,        // from files that were named, or that lie beside the model
  kRecorded,     // from earlier traffic
};

struct WarmupSample {
  Tensors inputs;
  Tensors expected = {};  // outputs to be met; empty: not known
  SampleOrigin origin = SampleOrigin::kGiven;
  std::string from = {};  // "samples.json, request 3", for messages
};

}  // namespace baozi::model
