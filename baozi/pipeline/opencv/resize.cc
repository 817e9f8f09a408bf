#include "baozi/pipeline/opencv/opencv_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <opencv2/imgproc.hpp>

#include "baozi/base/error.h"
#include "baozi/pipeline/opencv/opencv_image.h"

namespace baozi::pipeline::opencv {
namespace {

int opencv_filter(Interpolation interpolation, cv::Size from, Size to) {
  switch (interpolation) {
    case Interpolation::kLinear:
      return cv::INTER_LINEAR;
    case Interpolation::kCubic:
      return cv::INTER_CUBIC;
    case Interpolation::kSmooth:
      break;
  }
  const bool shrinks = to.height < from.height || to.width < from.width;
  return shrinks ? cv::INTER_AREA : cv::INTER_LINEAR;
}

void resize_into(const cv::Mat& from, cv::Mat to, Interpolation interpolation) {
  const int filter = opencv_filter(interpolation, from.size(), {to.rows, to.cols});
  cv::resize(from, to, to.size(), 0, 0, filter);
}

cv::Mat view_of(const Image& image, Rect rect) {
  if (rect.x < 0 || rect.y < 0 || rect.width < 1 || rect.height < 1 ||
      rect.x > image.width() - rect.width || rect.y > image.height() - rect.height) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("the rectangle at x {} y {} of {} × {} (width × height) is not inside of the "
                    "image's {} × {}",
                    rect.x, rect.y, rect.width, rect.height, image.width(), image.height()));
  }
  return view_of(image)(cv::Rect(rect.x, rect.y, rect.width, rect.height));
}

}  // namespace

Image resize(const Image& image, Size size, Interpolation interpolation, Allocator& allocator) {
  Image resized = new_image(size, allocator);
  resize_into(view_of(image), output_of(resized), interpolation);
  return resized;
}

Image crop(const Image& image, Rect rect, Allocator& allocator) {
  const cv::Mat part = view_of(image, rect);
  Image cropped = new_image({rect.height, rect.width}, allocator);
  part.copyTo(output_of(cropped));
  return cropped;
}

Image resize_crop(const Image& image, Rect rect, Size size, Interpolation interpolation,
                  Allocator& allocator) {
  const cv::Mat part = view_of(image, rect);
  Image resized = new_image(size, allocator);
  resize_into(part, output_of(resized), interpolation);
  return resized;
}

Letterbox letterbox(const Image& image, Size size, std::uint8_t fill, Interpolation interpolation,
                    Allocator& allocator) {
  Letterbox boxed{.image = new_image(size, allocator)};
  boxed.scale = std::min(static_cast<double>(size.height) / image.height(),
                         static_cast<double>(size.width) / image.width());
  const auto scaled = [&](int side, int limit) {
    return std::clamp(static_cast<int>(std::lround(side * boxed.scale)), 1, limit);
  };
  const cv::Size inner(scaled(image.width(), size.width), scaled(image.height(), size.height));
  boxed.left = (size.width - inner.width) / 2;
  boxed.top = (size.height - inner.height) / 2;
  std::memset(boxed.image.mutable_data(), fill, boxed.image.pixels.data().size());
  const cv::Mat canvas = output_of(boxed.image);
  resize_into(view_of(image), canvas(cv::Rect({boxed.left, boxed.top}, inner)), interpolation);
  return boxed;
}

}  // namespace baozi::pipeline::opencv
