#include "baozi/pipeline/opencv/opencv_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/pipeline/opencv/opencv_image.h"

namespace baozi::pipeline::opencv {
namespace {

constexpr float kSideMin = 3;           // of an outline in the map, in pixels
constexpr float kGrownSideMin = 5;      // of the box grown from it
constexpr float kSourceSideMin = 4;     // of the box in the source
constexpr double kVerticalRatio = 1.5;  // height to width from which text is taken as vertical
constexpr int kTurnLeft = 8;  // the EXIF orientation that a turn by 90° counter-clockwise undoes

cv::Mat map_view(const Tensor& map) {
  const Shape& shape = map.shape();
  const bool batched = shape.rank() == 4 && shape[0] == 1 && shape[1] == 1;
  if (map.dtype() != DType::kFp32 || (!batched && shape.rank() != 2) || map.elements() == 0) {
    throw Error(Code::kInvalidArgument,
                fmt::format("text boxes are read from a map FP32 [1,1,H,W], got {} {}",
                            dtype_name(map.dtype()), to_string(shape)));
  }
  single_threaded_opencv();
  const auto height = static_cast<int>(shape[shape.rank() - 2]),
             width = static_cast<int>(shape[shape.rank() - 1]);
  // OpenCV has no read-only matrix; this one is only read.
  return {height, width, CV_32F, const_cast<float*>(map.values<float>().data())};
}

// Mean of the map inside the rectangle.
float mean_inside(const cv::Mat& map, const cv::RotatedRect& rectangle) {
  std::array<cv::Point2f, 4> corners;
  rectangle.points(corners.data());
  float left = corners[0].x, right = left, top = corners[0].y, bottom = top;
  for (const cv::Point2f& corner : corners) {
    left = std::min(left, corner.x), right = std::max(right, corner.x);
    top = std::min(top, corner.y), bottom = std::max(bottom, corner.y);
  }
  const auto column = [&](float x) { return std::clamp(static_cast<int>(x), 0, map.cols - 1); };
  const auto row = [&](float y) { return std::clamp(static_cast<int>(y), 0, map.rows - 1); };
  const cv::Point first(column(std::floor(left)), row(std::floor(top)));
  const cv::Point last(column(std::ceil(right)), row(std::ceil(bottom)));
  const cv::Rect window(first, last + cv::Point(1, 1));
  std::array<cv::Point, 4> polygon;
  for (std::size_t i = 0; i < 4; ++i) {
    polygon[i] = {static_cast<int>(corners[i].x - static_cast<float>(first.x)),
                  static_cast<int>(corners[i].y - static_cast<float>(first.y))};
  }
  cv::Mat mask = cv::Mat::zeros(window.size(), CV_8U);
  cv::fillPoly(mask, std::vector<std::vector<cv::Point>>{{polygon.begin(), polygon.end()}}, 1);
  return static_cast<float>(cv::mean(map(window), mask)[0]);
}

// Clockwise from the top left: the two leftmost by height, then the two rightmost.
std::array<Point, 4> clockwise(std::array<Point, 4> corners) {
  std::sort(corners.begin(), corners.end(),
            [](Point a, Point b) { return std::pair(a.x, a.y) < std::pair(b.x, b.y); });
  if (corners[1].y < corners[0].y) std::swap(corners[0], corners[1]);
  if (corners[3].y < corners[2].y) std::swap(corners[2], corners[3]);
  return {corners[0], corners[2], corners[3], corners[1]};
}

float distance(Point a, Point b) { return std::hypot(a.x - b.x, a.y - b.y); }

std::optional<TextBox> box_of(const std::vector<cv::Point>& outline, const cv::Mat& map,
                              Size source, const TextBoxOptions& options) {
  cv::RotatedRect rectangle = cv::minAreaRect(outline);
  if (std::min(rectangle.size.width, rectangle.size.height) < kSideMin) return std::nullopt;
  const float score = mean_inside(map, rectangle);
  if (score < options.box_threshold) return std::nullopt;

  const float perimeter = 2 * (rectangle.size.width + rectangle.size.height);
  const float growth = rectangle.size.area() * options.unclip_ratio / perimeter;
  rectangle.size.width += 2 * growth;
  rectangle.size.height += 2 * growth;
  if (std::min(rectangle.size.width, rectangle.size.height) < kGrownSideMin) return std::nullopt;

  std::array<cv::Point2f, 4> grown;
  rectangle.points(grown.data());
  TextBox box{.corners = {}, .score = score};
  const auto scaled = [](float at, int from, int to) {
    // To whole pixels of the map first: the reference grows polygons with integer corners.
    const double position = std::nearbyint(std::nearbyint(static_cast<double>(at)) / from * to);
    return static_cast<float>(std::clamp(position, 0.0, to - 1.0));
  };
  for (std::size_t i = 0; i < 4; ++i) {
    box.corners[i] = {scaled(grown[i].x, map.cols, source.width),
                      scaled(grown[i].y, map.rows, source.height)};
  }
  box.corners = clockwise(box.corners);
  if (distance(box.corners[0], box.corners[1]) < kSourceSideMin ||
      distance(box.corners[0], box.corners[3]) < kSourceSideMin) {
    return std::nullopt;
  }
  return box;
}

}  // namespace

std::vector<TextBox> text_boxes(const Tensor& map, Size source, const TextBoxOptions& options) {
  const cv::Mat probabilities = map_view(map);
  if (!cv::checkRange(probabilities)) {
    throw Error(Code::kInternal, "the text detector's output is not finite (NaN or infinity)");
  }
  cv::Mat text = probabilities > options.threshold;
  if (options.dilate) cv::dilate(text, text, cv::Mat::ones(2, 2, CV_8U));
  std::vector<std::vector<cv::Point>> outlines;
  cv::findContours(text, outlines, cv::RETR_LIST, cv::CHAIN_APPROX_SIMPLE);

  std::vector<TextBox> boxes;
  for (std::size_t i = 0; i < std::min(outlines.size(), options.boxes_max); ++i) {
    if (const auto box = box_of(outlines[i], probabilities, source, options)) boxes.push_back(*box);
  }
  return boxes;
}

Image crop_box(const Image& image, const TextBox& box, Allocator& allocator) {
  const auto& [top_left, top_right, bottom_right, bottom_left] = box.corners;
  const auto width = static_cast<int>(
      std::max(distance(top_left, top_right), distance(bottom_right, bottom_left)));
  const auto height = static_cast<int>(
      std::max(distance(top_left, bottom_left), distance(top_right, bottom_right)));
  if (width < 1 || height < 1) {
    throw Error(Code::kInvalidArgument,
                fmt::format("a text box of {} × {} pixels has nothing to read", width, height));
  }
  Image crop = new_image({height, width}, allocator);
  const std::array<cv::Point2f, 4> from{
      cv::Point2f(top_left.x, top_left.y), cv::Point2f(top_right.x, top_right.y),
      cv::Point2f(bottom_right.x, bottom_right.y), cv::Point2f(bottom_left.x, bottom_left.y)};
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  const std::array<cv::Point2f, 4> to{cv::Point2f(0, 0), cv::Point2f(w, 0), cv::Point2f(w, h),
                                      cv::Point2f(0, h)};
  cv::Mat out = output_of(crop);
  cv::warpPerspective(view_of(image), out, cv::getPerspectiveTransform(from.data(), to.data()),
                      out.size(), cv::INTER_CUBIC, cv::BORDER_REPLICATE);
  if (height < kVerticalRatio * width) return crop;
  return turn_upright(crop, kTurnLeft, allocator);
}

}  // namespace baozi::pipeline::opencv
