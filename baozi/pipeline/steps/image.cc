#include "baozi/pipeline/steps/image.h"

#include <fmt/format.h>

#include <utility>

#include "baozi/base/error.h"

namespace baozi::pipeline {
namespace {

constexpr std::int64_t kSideMax = std::int64_t{1} << 20;

}  // namespace

Image new_image(Size size, Allocator& allocator) {
  if (size.height < 1 || size.width < 1) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format(
            "an image of {} × {} pixels (height × width) cannot be; both sides must be at least 1",
            size.height, size.width));
  }
  return {Tensor::allocate(DType::kUint8, {size.height, size.width, 3}, allocator)};
}

Image image_of(Tensor pixels) {
  const Shape& shape = pixels.shape();
  const auto side_fits = [](std::int64_t side) { return side >= 1 && side <= kSideMax; };
  if (pixels.dtype() != DType::kUint8 || shape.rank() != 3 || shape[2] != 3 ||
      !side_fits(shape[0]) || !side_fits(shape[1])) {
    throw Error(Code::kInvalidArgument,
                fmt::format("an image must be UINT8 [height,width,3] in RGB, this is {} {}",
                            dtype_name(pixels.dtype()), to_string(shape)));
  }
  return {std::move(pixels)};
}

}  // namespace baozi::pipeline
