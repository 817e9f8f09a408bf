#include "baozi/pipeline/builtin/elements.h"

#include <fmt/format.h>

#include "baozi/base/error.h"

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

std::string about_element(std::string_view what, std::size_t index, std::string_view text) {
  return fmt::format("{} {}: {}", what, index, text);
}

}  // namespace baozi::pipeline
