#include "baozi/pipeline/builtin/ocr_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "baozi/base/error.h"

namespace baozi::pipeline {

Tensors line_tensors(const std::vector<std::vector<Line>>& pages) {
  std::vector<std::string_view> texts;
  std::vector<float> scores, corners;
  std::vector<std::int64_t> images;
  for (const std::vector<Line>& lines : pages) {
    for (const Line& line : lines) {
      texts.push_back(line.text.text);
      scores.push_back(line.text.score);
      for (const Point corner : line.box.corners)
        corners.insert(corners.end(), {corner.x, corner.y});
      images.push_back(static_cast<std::int64_t>(line.image));
    }
  }
  const auto count = static_cast<std::int64_t>(texts.size());
  return {{"text", Tensor::of_strings({count}, texts)},
          {"score", Tensor::of<float>({count}, scores)},
          {"box", Tensor::of<float>({count, 4, 2}, corners)},
          {"image", Tensor::of<std::int64_t>({count}, images)}};
}

TextBox without_margin(TextBox box, int margin, Size size) {
  for (Point& corner : box.corners) {
    corner.x = std::clamp(corner.x, 0.0f, static_cast<float>(size.width - 1));
    corner.y = std::clamp(corner.y - static_cast<float>(margin), 0.0f,
                          static_cast<float>(size.height - 1));
  }
  return box;
}

float upside_down_score(const Tensor& scores) {
  if (scores.dtype() == DType::kFp32 && scores.elements() == 2 &&
      std::isfinite(scores.values<float>()[1])) {
    return scores.values<float>()[1];
  }
  throw Error(
      Code::kInternal,
      fmt::format("the orientation model gave {} {}, or a score that is not finite; FP32 [1,2] "
                  "is wanted",
                  dtype_name(scores.dtype()), to_string(scores.shape())));
}

std::string without_last_space(std::string lines) {
  const std::size_t end = lines.find_last_not_of("\r\n");
  if (end != std::string::npos && end > 0 && lines[end] == ' ' && lines[end - 1] == '\n')
    lines.resize(end);
  return lines;
}

}  // namespace baozi::pipeline
