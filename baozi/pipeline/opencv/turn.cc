#include <opencv2/core.hpp>

#include "baozi/pipeline/opencv/opencv_image.h"
#include "baozi/pipeline/opencv/opencv_steps.h"

namespace baozi::pipeline::opencv {

Image turn_upright(const Image& image, int orientation, Allocator& allocator) {
  // EXIF 2.32, figure 8, as a transposition followed by mirroring.
  const bool transposed = orientation >= 5;
  const bool mirror_columns =
      orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  const bool mirror_rows =
      orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  const Size size = transposed ? Size{image.width(), image.height()} : image.size();
  Image upright = new_image(size, allocator);
  cv::Mat out = output_of(upright);
  cv::Mat source = view_of(image);
  if (transposed) {
    cv::transpose(source, out);
    source = out;
  }
  if (mirror_columns || mirror_rows) {
    cv::flip(source, out, mirror_columns && mirror_rows ? -1 : mirror_columns ? 1 : 0);
  }
  return upright;
}

}  // namespace baozi::pipeline::opencv
