#include "baozi/pipeline/builtin/elements.h"

#include <fmt/format.h>

#include "baozi/base/error.h"
#include "baozi/pipeline/steps/sample_image.h"

namespace baozi::pipeline {

std::vector<Bytes> elements_of(const Tensors& inputs, std::string_view name) {
  const Tensor& tensor = get_tensor(inputs, name);
  std::vector<Bytes> elements;
  for (const std::string_view text : tensor.strings()) {
    const auto offset = static_cast<std::size_t>(text.data() - tensor.data().text().data());
    elements.push_back(tensor.data().slice(offset, text.size()));
  }
  if (elements.empty()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("input '{}' has no element; give one or more", name));
  }
  return elements;
}

Image decode_element(const Bytes& file, std::size_t index, int side_min) {
  try {
    return decode_image(file.span(), {.side_min = side_min});
  } catch (const Error& error) {
    throw Error(error.code(), about_element("image", index, error.message()));
  }
}

std::vector<Tensors> sample_images() {
  const Bytes page = sample_image({480, 640});
  const Bytes small = sample_image({240, 320});
  return {{{"image", Tensor::of_strings({1}, {page.text()})}},
          {{"image", Tensor::of_strings({2}, {small.text(), page.text()})}}};
}

std::vector<Tensors> sample_texts() {
  constexpr std::string_view kShort = "Ten trays of buns, please.";
  std::string text;
  for (int i = 0; i < 12; ++i) text += "The steam rises before the doors of the shop are opened. ";
  return {{{"text", Tensor::of_strings({1}, {kShort})}},
          {{"text", Tensor::of_strings({1}, {text})}},
          {{"text", Tensor::of_strings({4}, {kShort, kShort, text, kShort})}}};
}

std::string about_element(std::string_view what, std::size_t index, std::string_view text) {
  return fmt::format("{} {}: {}", what, index, text);
}

}  // namespace baozi::pipeline
