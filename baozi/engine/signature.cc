#include "baozi/engine/signature.h"

#include <fmt/format.h>

#include <algorithm>

#include "baozi/base/error.h"

namespace baozi::engine {
namespace {

int index_of(const std::vector<TensorSpec>& specs, std::string_view name) noexcept {
  const auto at = std::ranges::find(specs, name, &TensorSpec::name);
  return at == specs.end() ? -1 : static_cast<int>(at - specs.begin());
}

bool leads_with_any(const TensorSpec& spec) noexcept {
  return spec.shape.rank() > 0 && spec.shape[0] < 0;
}

// "[batch,4]": free dimensions by their names.
std::string describe_shape(const TensorSpec& spec) {
  std::string text = "[";
  for (std::size_t i = 0; i < spec.shape.rank(); ++i) {
    if (i > 0) text += ',';
    const bool named = spec.shape[i] < 0 && i < spec.dim_names.size() && !spec.dim_names[i].empty();
    text += named ? spec.dim_names[i] : std::to_string(spec.shape[i]);
  }
  return text + "]";
}

bool shape_fits(const Shape& spec, const Shape& shape) noexcept {
  if (spec.rank() != shape.rank()) return false;
  for (std::size_t i = 0; i < spec.rank(); ++i) {
    if (spec[i] >= 0 && spec[i] != shape[i]) return false;
  }
  return true;
}

}  // namespace

int Signature::input_index(std::string_view name) const noexcept { return index_of(inputs, name); }
int Signature::output_index(std::string_view name) const noexcept {
  return index_of(outputs, name);
}

bool Signature::batchable() const noexcept {
  return !inputs.empty() && !outputs.empty() && std::ranges::all_of(inputs, leads_with_any) &&
         std::ranges::all_of(outputs, leads_with_any);
}

bool fits(const TensorSpec& spec, const Tensor& tensor) noexcept {
  return spec.dtype == tensor.dtype() && shape_fits(spec.shape, tensor.shape());
}

void check_fits(const TensorSpec& spec, const Tensor& tensor) {
  if (fits(spec, tensor)) return;
  throw Error(Code::kInvalidArgument,
              fmt::format("tensor '{}' is {} {}, but the model wants {} {}", spec.name,
                          dtype_name(tensor.dtype()), to_string(tensor.shape()),
                          dtype_name(spec.dtype), describe_shape(spec)));
}

}  // namespace baozi::engine
