// Samples made up from what a model says it takes. Always the same for one signature.
//
//   for (WarmupSample& sample : synthesise_samples(model->signature())) …
//
// One sample a shape, of one row. Free dimensions get the lengths 16, 64 and 128, those of images
// (an input of four dimensions) 224, 320 and 640; all free dimensions of a sample get the same one,
// since those of different inputs are often one and the same. Floating-point elements are noise in
// [0, 1); integers are 0 or 1, which are indices even of small tables; inputs whose name speaks of
// a mask are ones, of types or segments zeros, of positions 0, 1, 2 …; strings are short words.
//
// Thread safety: free functions.
#pragma once

#include <vector>

#include "baozi/engine/signature.h"
#include "baozi/model/warmup_sample.h"

namespace baozi::model {

// None when a row would take more than kSampleBytesMax in its smallest shape; larger shapes above
// it are left out.
std::vector<WarmupSample> synthesise_samples(const engine::Signature& signature);
inline constexpr std::size_t kSampleBytesMax = std::size_t{64} << 20;

// Other values for a tensor of this type and shape: what a recorded one is replaced by when its
// content must not be kept. `name` as above.
Tensor synthesise_tensor(const std::string& name, DType dtype, const Shape& shape);

}  // namespace baozi::model
