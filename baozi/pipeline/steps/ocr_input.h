// Inputs of PP-OCR's three models: the detector, the 0°/180° classifier and the recogniser, as
// rapidocr prepares them. All are f32, channels first, blue first, (pixel / 255 - 0.5) / 0.5.
//
//   const Size size = detector_size(page.size());
//   Tensor input = Tensor::allocate(DType::kFp32, {1, 3, size.height, size.width});
//   detector_input(page, size, input.mutable_values<float>());
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <span>

#include "baozi/pipeline/steps/image.h"

namespace baozi::pipeline {

struct DetectorOptions {
  int side = 736;       // the shorter side is enlarged to this; 0: never enlarge
  int side_max = 2000;  // the longer side is shrunk to this first
  std::int64_t pixels_max =
      4'400'000;  // long strips are enlarged no further than this: 736 × 5888 and some
};

// What the detector is fed with for an image of `source`: sides in the same ratio, rounded to
// multiples of 32, at least 32.
Size detector_size(Size source, const DetectorOptions& options = {}) noexcept;

// `out` is [3, size.height, size.width]. Throws Error kInvalidArgument when it has another number
// of elements.
void detector_input(const Image& image, Size size, std::span<float> out);

// Rows to add above and below an image before detection, as the detector finds no text without a
// margin: images of at most 30 rows and strips more than 8 times as wide as high. 0 for all others.
int detector_padding(Size source) noexcept;
// `rows` black rows above and below.
Image pad_rows(const Image& image, int rows, Allocator& allocator = heap_allocator());

constexpr Size kClassifierSize{48, 192};
// `out` is [3,48,192]: scaled to 48 rows, zeros on the right; a wider crop is squeezed.
void classifier_input(const Image& crop, std::span<float> out);

constexpr int kRecogniserHeight = 48;
constexpr int kRecogniserWidthMin = 320;
constexpr int kRecogniserWidthMax = 4096;
constexpr int kRecogniserWidthStep = 64;
// The crop's width when scaled to 48 rows, at most kRecogniserWidthMax.
int recogniser_width(Size crop) noexcept;
// That width rounded up to the next bucket, so that crops of like width share a batch: 320, 384,
// 448, …
int recogniser_bucket(Size crop) noexcept;
// `out` is [3,48,width]: scaled to 48 rows, zeros on the right; a crop too wide for `width` is
// squeezed.
void recogniser_input(const Image& crop, int width, std::span<float> out);

}  // namespace baozi::pipeline
