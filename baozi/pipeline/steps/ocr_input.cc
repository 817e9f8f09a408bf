#include "baozi/pipeline/steps/ocr_input.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "baozi/pipeline/steps/image_normalise.h"
#include "baozi/pipeline/steps/image_resize.h"

namespace baozi::pipeline {
namespace {

constexpr Normalise kPaddleNormalise{
    .mean = {127.5f, 127.5f, 127.5f}, .std = {127.5f, 127.5f, 127.5f}, .order = ChannelOrder::kBgr};
constexpr int kStride = 32;  // the detector halves its input five times
constexpr int kPaddedHeightMax = 30;
constexpr int kStripRatio = 8;

int round_to_stride(double side) {
  return std::max(static_cast<int>(std::nearbyint(std::floor(side) / kStride)) * kStride, kStride);
}

int width_at(int height, Size crop) {
  const double width = std::ceil(static_cast<double>(height) * crop.width / crop.height);
  return static_cast<int>(std::min(width, static_cast<double>(kRecogniserWidthMax)));
}

void line_input(const Image& crop, Size size, std::span<float> out) {
  const int width = std::min(width_at(size.height, crop.size()), size.width);
  const Image scaled = resize(crop, {size.height, width}, Interpolation::kLinear);
  normalise(scaled, kPaddleNormalise, out, size.width);
}

}  // namespace

Size detector_size(Size source, const DetectorOptions& options) noexcept {
  double height = source.height, width = source.width;
  const auto scale = [&](double ratio) { height *= ratio, width *= ratio; };
  if (std::max(height, width) > options.side_max) scale(options.side_max / std::max(height, width));
  if (std::min(height, width) < options.side) scale(options.side / std::min(height, width));
  const double excess = height * width / static_cast<double>(options.pixels_max);
  if (excess > 1) scale(1 / std::sqrt(excess));
  return {round_to_stride(height), round_to_stride(width)};
}

void detector_input(const Image& image, Size size, std::span<float> out) {
  if (image.size() == size) return normalise(image, kPaddleNormalise, out);
  normalise(resize(image, size, Interpolation::kLinear), kPaddleNormalise, out);
}

int detector_padding(Size source) noexcept {
  const bool strip = source.width > static_cast<std::int64_t>(kStripRatio) * source.height;
  if (source.height > kPaddedHeightMax && !strip) return 0;
  return std::abs(std::max(source.width / kStripRatio, kPaddedHeightMax) * 2 - source.height) / 2;
}

Image pad_rows(const Image& image, int rows, Allocator& allocator) {
  if (rows < 1) return image;
  Image padded = new_image({image.height() + 2 * rows, image.width()}, allocator);
  const std::size_t margin =
      static_cast<std::size_t>(rows) * static_cast<std::size_t>(image.width()) * 3;
  const std::size_t middle = image.pixels.data().size();
  std::uint8_t* out = padded.mutable_data();
  std::memset(out, 0, margin);
  std::memcpy(out + margin, image.data(), middle);
  std::memset(out + margin + middle, 0, margin);
  return padded;
}

void classifier_input(const Image& crop, std::span<float> out) {
  line_input(crop, kClassifierSize, out);
}

int recogniser_width(Size crop) noexcept { return width_at(kRecogniserHeight, crop); }

int recogniser_bucket(Size crop) noexcept {
  const int steps = (recogniser_width(crop) + kRecogniserWidthStep - 1) / kRecogniserWidthStep;
  return std::max(steps * kRecogniserWidthStep, kRecogniserWidthMin);
}

void recogniser_input(const Image& crop, int width, std::span<float> out) {
  line_input(crop, {kRecogniserHeight, width}, out);
}

}  // namespace baozi::pipeline
