#include "baozi/pipeline/steps/text_boxes.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "baozi/pipeline/steps/pictures.h"

namespace baozi::pipeline {
namespace {

constexpr float kRowTolerance = 10;  // tops this near are one row

}  // namespace

std::vector<TextBox> text_boxes(const Tensor& map, Size source, const TextBoxOptions& options) {
  std::vector<TextBox> boxes = pictures().text_boxes(map, source, options);
  sort_in_reading_order(boxes);
  return boxes;
}

void sort_in_reading_order(std::span<TextBox> boxes) {
  const auto top_left = [&](std::size_t i) { return boxes[i].corners[0]; };
  std::sort(boxes.begin(), boxes.end(), [](const TextBox& a, const TextBox& b) {
    return std::pair(a.corners[0].y, a.corners[0].x) < std::pair(b.corners[0].y, b.corners[0].x);
  });
  // "In one row" is not transitive, so that no comparison could sort by it: insertion, as the
  // reference does.
  for (std::size_t i = 1; i < boxes.size(); ++i) {
    for (std::size_t j = i; j > 0; --j) {
      if (std::abs(top_left(j).y - top_left(j - 1).y) >= kRowTolerance ||
          top_left(j).x >= top_left(j - 1).x)
        break;
      std::swap(boxes[j], boxes[j - 1]);
    }
  }
}

Image crop_box(const Image& image, const TextBox& box, Allocator& allocator) {
  return pictures().crop_box(image, box, allocator);
}

}  // namespace baozi::pipeline
