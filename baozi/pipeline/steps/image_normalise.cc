#include "baozi/pipeline/steps/image_normalise.h"

#include "baozi/pipeline/steps/pictures.h"

namespace baozi::pipeline {

void normalise(const Image& image, const Normalise& recipe, std::span<float> out, int row_width) {
  pictures().normalise(image, recipe, out, row_width);
}

void normalise(const Image& image, const Normalise& recipe, std::span<float> out) {
  normalise(image, recipe, out, image.width());
}

}  // namespace baozi::pipeline
