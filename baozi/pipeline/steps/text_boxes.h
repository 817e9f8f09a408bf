// Text boxes out of a text detector's probability map (DB: "Real-time Scene Text Detection with
// Differentiable Binarization", AAAI 2020), and the crops that go to the recogniser. The rules and
// defaults are rapidocr's (ch_ppocr_det/utils.py, main.py), so that the same models give the same
// answers.
//
//   for (const TextBox& box : text_boxes(map, image.size())) recognise(crop_box(image, box));
//
// Thread safety: pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "baozi/base/tensor.h"
#include "baozi/pipeline/steps/image.h"

namespace baozi::pipeline {

struct Point {
  float x = 0;
  float y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};

// A rectangle, turned by any angle, in pixels of the source image.
struct TextBox {
  std::array<Point, 4> corners;  // clockwise from the text's top left
  float score = 0;               // mean text probability inside, before growing
};

struct TextBoxOptions {
  float threshold = 0.3f;      // a pixel is text above this
  float box_threshold = 0.5f;  // a box is kept from this mean on
  float unclip_ratio =
      1.6f;            // grow by area · ratio / perimeter on each side: the map shows shrunken text
  bool dilate = true;  // 2 × 2, joins hairline gaps
  std::size_t boxes_max = 1000;  // outlines looked at; the rest is left out
};

// `map` f32 [1,1,H,W] or [H,W] of probabilities; the boxes are scaled to `source` and in reading
// order. Throws Error kInvalidArgument for another type or shape, kInternal when a value is not
// finite.
std::vector<TextBox> text_boxes(const Tensor& map, Size source, const TextBoxOptions& options = {});

// Rows from top to bottom, and within a row (tops less than 10 pixels apart) from left to right.
void sort_in_reading_order(std::span<TextBox> boxes);

// The box straightened to a rectangle; turned by 90° counter-clockwise when it is at least 1.5
// times as high as wide (vertical text). Throws Error kInvalidArgument when the box has no area.
Image crop_box(const Image& image, const TextBox& box, Allocator& allocator = heap_allocator());

}  // namespace baozi::pipeline
