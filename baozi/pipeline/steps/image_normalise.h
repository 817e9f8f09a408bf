// Pixels into a model's input: u8 [H,W,3] to f32 [3,H,W], straight into the input tensor's memory.
//
//   const Normalise recipe{.mean = {127, 127, 127}, .std = {128, 128, 128}};  // EfficientNet-Lite
//   const std::size_t plane = 224 * 224;
//   normalise(image, recipe, input.mutable_values<float>().subspan(row * 3 * plane, 3 * plane));
//
// Thread safety: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "baozi/pipeline/steps/image.h"

namespace baozi::pipeline {

enum class ChannelOrder : std::uint8_t { kRgb, kBgr };

// out = (pixel - mean) / std, pixel from 0 to 255; both in the order of the output's channels.
struct Normalise {
  std::array<float, 3> mean{0, 0, 0};
  std::array<float, 3> std{255, 255, 255};
  ChannelOrder order = ChannelOrder::kRgb;
};

// `out` is f32 [3, H, row_width] with row_width >= W; columns from W on become 0. Every element of
// `out` is written. Throws Error kInvalidArgument when `out` has another number of elements.
void normalise(const Image& image, const Normalise& recipe, std::span<float> out, int row_width);

// The same with row_width = W.
void normalise(const Image& image, const Normalise& recipe, std::span<float> out);

}  // namespace baozi::pipeline
