// Resizing, cropping and letterboxing of images.
//
// Thread safety: pure functions. Errors: kInvalidArgument for a size below 1 × 1 or a rectangle
// outside of the image.
#pragma once

#include <cstdint>

#include "baozi/pipeline/steps/image.h"

namespace baozi::pipeline {

enum class Interpolation : std::uint8_t {
  kLinear,  // OpenCV's INTER_LINEAR: two taps a side, aliases when it shrinks. What PP-OCR was
            // trained with.
  kCubic,   // OpenCV's INTER_CUBIC, likewise
  kSmooth,  // pixel-area means when it shrinks (no aliasing), kLinear when it grows. For
            // classifiers.
};

struct Rect {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
  friend bool operator==(const Rect&, const Rect&) = default;
};

Image resize(const Image& image, Size size, Interpolation interpolation,
             Allocator& allocator = heap_allocator());

// The pixels of `rect`, copied.
Image crop(const Image& image, Rect rect, Allocator& allocator = heap_allocator());

// The square in the centre whose side is `fraction` (0 to 1] of the image's shorter side, at least
// one pixel.
Rect centre_square(Size size, double fraction) noexcept;

// resize(crop(image, rect)) in one step, without the copy in between.
Image resize_crop(const Image& image, Rect rect, Size size, Interpolation interpolation,
                  Allocator& allocator = heap_allocator());

// Where letterbox() put the image: a point (x, y) of the result is ((x - left) / scale, (y - top) /
// scale) of the image.
struct Letterbox {
  Image image;
  double scale = 1;
  int left = 0;
  int top = 0;
};

// Scales to fit into `size` keeping the ratio of the sides, centred, and fills the rest with
// `fill`.
Letterbox letterbox(const Image& image, Size size, std::uint8_t fill, Interpolation interpolation,
                    Allocator& allocator = heap_allocator());

}  // namespace baozi::pipeline
