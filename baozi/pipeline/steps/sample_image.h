// A picture made up for warm-up: lines of black text on a page that shades from white to grey, as a
// JPEG file. So decoding, resizing, and finding and reading text have something to do.
//
//   Tensors sample{{"image", Tensor::of_strings({1}, {sample_image({480, 640}).text()})}};
//
// Thread safety: free functions.
#pragma once

#include "baozi/base/bytes.h"
#include "baozi/pipeline/steps/image.h"

namespace baozi::pipeline {

// Always the same for one size. Throws Error kInvalidArgument when a side is below 1.
Bytes sample_image(Size size);

}  // namespace baozi::pipeline
