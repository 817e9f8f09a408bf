#include <algorithm>
#include <opencv2/imgproc.hpp>

#include "baozi/pipeline/opencv/opencv_image.h"
#include "baozi/pipeline/opencv/opencv_steps.h"

namespace baozi::pipeline::opencv {

void write_lines(Image& page, std::span<const char* const> lines) {
  cv::Mat mat = output_of(page);
  const int step = std::max(page.height() / static_cast<int>(lines.size() + 1), 1);
  const double scale = page.width() / 420.0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    cv::putText(mat, lines[i], {page.width() / 12, step * static_cast<int>(i + 1)},
                cv::FONT_HERSHEY_SIMPLEX, scale, {20, 20, 20}, std::max(1, page.width() / 200),
                cv::LINE_AA);
  }
}

}  // namespace baozi::pipeline::opencv
