#include "baozi/pipeline/steps/image_resize.h"

#include <algorithm>
#include <cmath>

#include "baozi/pipeline/steps/pictures.h"

namespace baozi::pipeline {

Image resize(const Image& image, Size size, Interpolation interpolation, Allocator& allocator) {
  return pictures().resize(image, size, interpolation, allocator);
}

Image crop(const Image& image, Rect rect, Allocator& allocator) {
  return pictures().crop(image, rect, allocator);
}

Rect centre_square(Size size, double fraction) noexcept {
  const int shorter = std::min(size.height, size.width);
  const int side = std::clamp(static_cast<int>(std::lround(shorter * fraction)), 1, shorter);
  return {
      .x = (size.width - side) / 2, .y = (size.height - side) / 2, .width = side, .height = side};
}

Image resize_crop(const Image& image, Rect rect, Size size, Interpolation interpolation,
                  Allocator& allocator) {
  return pictures().resize_crop(image, rect, size, interpolation, allocator);
}

Letterbox letterbox(const Image& image, Size size, std::uint8_t fill, Interpolation interpolation,
                    Allocator& allocator) {
  return pictures().letterbox(image, size, fill, interpolation, allocator);
}

}  // namespace baozi::pipeline
