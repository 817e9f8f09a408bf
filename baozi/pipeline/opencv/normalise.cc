#include "baozi/pipeline/opencv/opencv_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/pipeline/opencv/opencv_image.h"

namespace baozi::pipeline::opencv {

void normalise(const Image& image, const Normalise& recipe, std::span<float> out, int row_width) {
  const int height = image.height(), width = image.width();
  const std::size_t plane = static_cast<std::size_t>(height) * static_cast<std::size_t>(row_width);
  if (row_width < width || out.size() != 3 * plane) {
    throw Error(Code::kInvalidArgument,
                fmt::format("an image of {} × {} (height × width) normalised to rows of {} needs 3 "
                            "× {} × {} floats, "
                            "the input has {}",
                            height, width, row_width, height, row_width, out.size()));
  }
  // A block of rows is split into planes and scaled while it is in the first-level cache.
  constexpr int kBlockPixels = 4096;
  const int rows_max = std::clamp(kBlockPixels / width, 1, height);
  std::array<cv::Mat, 3> channels;
  for (cv::Mat& channel : channels) channel.create(rows_max, width, CV_8U);
  const cv::Mat pixels = view_of(image);
  for (int row = 0; row < height; row += rows_max) {
    const int rows = std::min(rows_max, height - row);
    std::array<cv::Mat, 3> block;
    for (std::size_t c = 0; c < 3; ++c) block[c] = channels[c].rowRange(0, rows);
    cv::split(pixels.rowRange(row, row + rows), block.data());
    for (std::size_t c = 0; c < 3; ++c) {
      const std::size_t source = recipe.order == ChannelOrder::kRgb ? c : 2 - c;
      float* at = out.data() + c * plane +
                  static_cast<std::size_t>(row) * static_cast<std::size_t>(row_width);
      cv::Mat rows_out(rows, row_width, CV_32F, at);
      cv::Mat target = rows_out.colRange(0, width);
      block[source].convertTo(target, CV_32F, 1.0 / recipe.std[c],
                              -static_cast<double>(recipe.mean[c]) / recipe.std[c]);
      if (row_width > width) rows_out.colRange(width, row_width).setTo(0);
    }
  }
}

}  // namespace baozi::pipeline::opencv
