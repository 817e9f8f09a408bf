// Image: decoded pixels, u8 [H,W,3], RGB, row-major. What the image steps of a pipeline hand to
// each other.
//
// Thread safety: a value; the pixels are shared and read-only once an Image is handed on.
#pragma once

#include <cstdint>

#include "baozi/base/tensor.h"

namespace baozi::pipeline {

struct Size {
  int height = 0;
  int width = 0;
  friend bool operator==(const Size&, const Size&) = default;
};

struct Image {
  Tensor pixels;  // u8 [H,W,3], RGB

  int height() const noexcept { return static_cast<int>(pixels.shape()[0]); }
  int width() const noexcept { return static_cast<int>(pixels.shape()[1]); }
  Size size() const noexcept { return {height(), width()}; }
  const std::uint8_t* data() const noexcept {
    return reinterpret_cast<const std::uint8_t*>(pixels.data().data());
  }
  std::uint8_t* mutable_data() noexcept {
    return reinterpret_cast<std::uint8_t*>(pixels.mutable_data().mutable_data());
  }
};

// Not initialised. Throws Error kInvalidArgument when a side is below 1.
Image new_image(Size size, Allocator& allocator = heap_allocator());

// `pixels` as an image. Throws Error kInvalidArgument unless it is u8 [H,W,3] with sides from 1 to
// 2^20.
Image image_of(Tensor pixels);

}  // namespace baozi::pipeline
