// From an image to the input of an image classifier: its part, its size, its numbers.
//
// Thread safety: values; pure functions.
#pragma once

#include <cstdint>

#include "baozi/engine/signature.h"
#include "baozi/pipeline/pipeline.h"
#include "baozi/pipeline/steps/image_normalise.h"
#include "baozi/pipeline/steps/image_resize.h"

namespace baozi::pipeline {

struct ClassifierInput {
  // How an image of another ratio of sides is made to fit: its centre, all of it squeezed, or all
  // of it with margins.
  enum class Fit : std::uint8_t { kCrop, kStretch, kPad };

  Size size;
  Fit fit = Fit::kCrop;
  double crop_fraction =
      0.875;  // of the shorter side: 256 to 224, as most classifiers were evaluated
  Interpolation interpolation = Interpolation::kSmooth;
  Normalise recipe{.mean = {127, 127, 127}, .std = {128, 128, 128}};
  bool planes_first = true;  // [1,3,H,W], else [1,H,W,3]

  // From the options size, fit, crop_fraction, interpolation, mean, std and channels, and the
  // model's input. Throws Error kInvalidArgument for a bad option, or an input that is no image.
  static ClassifierInput from(const PipelineContext& context, const engine::TensorSpec& input);

  // The shorter side an image needs to have; a JPEG may be decoded down to it.
  int side_min() const noexcept;
  // f32, one row.
  Tensor prepare(const Image& image) const;
};

}  // namespace baozi::pipeline
