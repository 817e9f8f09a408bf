#include <cstdint>

#include "baozi/pipeline/opencv/opencv_steps.h"
#include "baozi/pipeline/steps/pictures.h"

namespace baozi::pipeline {
namespace {

class OpenCvPictures final : public Pictures {
 public:
  Image resize(const Image& image, Size size, Interpolation interpolation,
               Allocator& allocator) override {
    return opencv::resize(image, size, interpolation, allocator);
  }
  Image crop(const Image& image, Rect rect, Allocator& allocator) override {
    return opencv::crop(image, rect, allocator);
  }
  Image resize_crop(const Image& image, Rect rect, Size size, Interpolation interpolation,
                    Allocator& allocator) override {
    return opencv::resize_crop(image, rect, size, interpolation, allocator);
  }
  Letterbox letterbox(const Image& image, Size size, std::uint8_t fill, Interpolation interpolation,
                      Allocator& allocator) override {
    return opencv::letterbox(image, size, fill, interpolation, allocator);
  }
  Image turn_upright(const Image& image, int orientation, Allocator& allocator) override {
    return opencv::turn_upright(image, orientation, allocator);
  }
  void normalise(const Image& image, const Normalise& recipe, std::span<float> out,
                 int row_width) override {
    opencv::normalise(image, recipe, out, row_width);
  }
  std::vector<TextBox> text_boxes(const Tensor& map, Size source,
                                  const TextBoxOptions& options) override {
    return opencv::text_boxes(map, source, options);
  }
  Image crop_box(const Image& image, const TextBox& box, Allocator& allocator) override {
    return opencv::crop_box(image, box, allocator);
  }
  void write_lines(Image& page, std::span<const char* const> lines) override {
    opencv::write_lines(page, lines);
  }
};

}  // namespace
}  // namespace baozi::pipeline

#define BAOZI_PICTURES_EXPORT extern "C" __attribute__((visibility("default")))

BAOZI_PICTURES_EXPORT std::uint32_t baozi_pictures_abi() { return baozi::pipeline::kPicturesAbi; }
BAOZI_PICTURES_EXPORT baozi::pipeline::Pictures* baozi_pictures_create() {
  return new baozi::pipeline::OpenCvPictures;
}
