// Pictures: the steps on images that need OpenCV. It is a plug-in, libbaozi_pictures.so, opened on
// first use as engines are: OpenCV brings seventeen shared libraries along, which a server that may
// never see an image would wait for at each start (docs/decisions/036-start.md).
//
// Nobody needs this header but the steps: image_resize.h, image_normalise.h, image_decode.h,
// text_boxes.h and sample_image.h have the functions, and say what they do.
//
// Thread safety: all methods.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "baozi/pipeline/steps/image.h"
#include "baozi/pipeline/steps/image_normalise.h"
#include "baozi/pipeline/steps/image_resize.h"
#include "baozi/pipeline/steps/text_boxes.h"

namespace baozi::pipeline {

// Counts up whenever this class or a type it carries changes; a plug-in of another number is
// refused.
inline constexpr std::uint32_t kPicturesAbi = 1;

class Pictures {
 public:
  virtual ~Pictures() = default;

  virtual Image resize(const Image& image, Size size, Interpolation interpolation,
                       Allocator& allocator) = 0;
  virtual Image crop(const Image& image, Rect rect, Allocator& allocator) = 0;
  virtual Image resize_crop(const Image& image, Rect rect, Size size, Interpolation interpolation,
                            Allocator& allocator) = 0;
  virtual Letterbox letterbox(const Image& image, Size size, std::uint8_t fill,
                              Interpolation interpolation, Allocator& allocator) = 0;
  // `orientation`: 2 … 8.
  virtual Image turn_upright(const Image& image, int orientation, Allocator& allocator) = 0;
  virtual void normalise(const Image& image, const Normalise& recipe, std::span<float> out,
                         int row_width) = 0;
  // In no order.
  virtual std::vector<TextBox> text_boxes(const Tensor& map, Size source,
                                          const TextBoxOptions& options) = 0;
  virtual Image crop_box(const Image& image, const TextBox& box, Allocator& allocator) = 0;
  // One below the other, dark.
  virtual void write_lines(Image& page, std::span<const char* const> lines) = 0;
};

// Opens the plug-in on the first call; it is looked for where engines are. Errors: kNotFound,
// kFailedPrecondition.
Pictures& pictures();

// What `file` exports; the library stays open for good. Errors: kFailedPrecondition (no shared
// object, not this plug-in, or of another version).
std::unique_ptr<Pictures> open_pictures(const std::filesystem::path& file);

}  // namespace baozi::pipeline
