// Internal to the image steps: an Image seen as OpenCV's Mat, without a copy.
//
// Thread safety: as of the Image. OpenCV's own thread pool is switched off on first use: these
// steps run on the server's CPU pool, which already has one thread a core.
#pragma once

#include <opencv2/core.hpp>

#include "baozi/pipeline/steps/image.h"

namespace baozi::pipeline {

inline void single_threaded_opencv() {
  static const bool done = (cv::setNumThreads(0), true);
  static_cast<void>(done);
}

// Must not be written through, nor outlive the image.
inline cv::Mat view_of(const Image& image) {
  single_threaded_opencv();
  return {image.height(), image.width(), CV_8UC3, const_cast<std::uint8_t*>(image.data())};
}

// Writable; the caller has just made the image. OpenCV functions given this as output write in
// place, for size and type fit.
inline cv::Mat output_of(Image& image) {
  single_threaded_opencv();
  return {image.height(), image.width(), CV_8UC3, image.mutable_data()};
}

}  // namespace baozi::pipeline
