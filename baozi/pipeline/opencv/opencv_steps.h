// What the plug-in libbaozi_pictures.so does with OpenCV, as steps/pictures.h wants it.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "baozi/pipeline/steps/image.h"
#include "baozi/pipeline/steps/image_normalise.h"
#include "baozi/pipeline/steps/image_resize.h"
#include "baozi/pipeline/steps/text_boxes.h"

namespace baozi::pipeline::opencv {

Image resize(const Image& image, Size size, Interpolation interpolation, Allocator& allocator);
Image crop(const Image& image, Rect rect, Allocator& allocator);
Image resize_crop(const Image& image, Rect rect, Size size, Interpolation interpolation,
                  Allocator& allocator);
Letterbox letterbox(const Image& image, Size size, std::uint8_t fill, Interpolation interpolation,
                    Allocator& allocator);
Image turn_upright(const Image& image, int orientation, Allocator& allocator);
void normalise(const Image& image, const Normalise& recipe, std::span<float> out, int row_width);
std::vector<TextBox> text_boxes(const Tensor& map, Size source, const TextBoxOptions& options);
Image crop_box(const Image& image, const TextBox& box, Allocator& allocator);
void write_lines(Image& page, std::span<const char* const> lines);

}  // namespace baozi::pipeline::opencv
