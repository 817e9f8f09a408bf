// The pure parts of the OCR pipeline: from lines of text to tensors.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "baozi/base/tensor.h"
#include "baozi/pipeline/steps/ctc_decode.h"
#include "baozi/pipeline/steps/text_boxes.h"

namespace baozi::pipeline {

struct Line {
  RecognisedText text;
  TextBox box;
  std::size_t image = 0;  // of the request
};

// text BYTES [L], score FP32 [L], box FP32 [L,4,2], image INT64 [L].
Tensors line_tensors(const std::vector<std::vector<Line>>& pages);

// The box as it lies on the image before `margin` rows were added above and below, clipped to that
// image's `size`.
TextBox without_margin(TextBox box, int margin, Size size);

// Of the 0°/180° classifier's f32 [1,2]. Throws Error kInternal for another shape or a score that
// is not finite.
float upside_down_score(const Tensor& scores);

// Dictionary files may list the space as their last line, which CtcDictionary adds itself.
std::string without_last_space(std::string lines);

}  // namespace baozi::pipeline
