#include "baozi/pipeline/batch_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "baozi/base/error.h"

namespace baozi::pipeline {
namespace {

template <class T>
std::uint64_t bits_of(T value) noexcept {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

std::uint64_t element_bits(DType dtype, double value) noexcept {
  switch (dtype) {
    case DType::kBool:
      return bits_of(value != 0);
    case DType::kUint8:
      return bits_of(static_cast<std::uint8_t>(value));
    case DType::kUint16:
      return bits_of(static_cast<std::uint16_t>(value));
    case DType::kUint32:
      return bits_of(static_cast<std::uint32_t>(value));
    case DType::kUint64:
      return bits_of(static_cast<std::uint64_t>(value));
    case DType::kInt8:
      return bits_of(static_cast<std::int8_t>(value));
    case DType::kInt16:
      return bits_of(static_cast<std::int16_t>(value));
    case DType::kInt32:
      return bits_of(static_cast<std::int32_t>(value));
    case DType::kInt64:
      return bits_of(static_cast<std::int64_t>(value));
    case DType::kFp16:
      return bits_of(to_half(static_cast<float>(value)).bits);
    case DType::kBf16:
      return bits_of(to_bfloat16(static_cast<float>(value)).bits);
    case DType::kFp32:
      return bits_of(static_cast<float>(value));
    case DType::kFp64:
      return bits_of(value);
    case DType::kBytes:
      break;
  }
  return 0;
}

void fill_with(std::byte* to, std::size_t bytes, std::uint64_t element,
               std::size_t element_size) noexcept {
  if (element == 0) {
    std::memset(to, 0, bytes);
    return;
  }
  for (std::size_t at = 0; at < bytes; at += element_size)
    std::memcpy(to + at, &element, element_size);
}

// Copies the block `block` between two arrays of the shapes `from_shape` and `to_shape`; offsets
// are 0 in all dimensions.
void copy_block(const std::byte* from, const Shape& from_shape, std::byte* to,
                const Shape& to_shape, const Shape& block, std::size_t dim,
                std::size_t element_size) noexcept {
  std::size_t from_step = element_size;
  std::size_t to_step = element_size;
  bool whole = true;  // the inner dimensions are equal, so that this one is one run of bytes
  for (std::size_t i = dim + 1; i < block.rank(); ++i) {
    from_step *= static_cast<std::size_t>(from_shape[i]);
    to_step *= static_cast<std::size_t>(to_shape[i]);
    whole = whole && block[i] == from_shape[i] && block[i] == to_shape[i];
  }
  const auto count = static_cast<std::size_t>(block[dim]);
  if (whole) {
    if (count * from_step > 0) std::memcpy(to, from, count * from_step);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    copy_block(from + i * from_step, from_shape, to + i * to_step, to_shape, block, dim + 1,
               element_size);
  }
}

// The byte range of elements [first, first + count) of a BYTES tensor.
std::pair<std::size_t, std::size_t> bytes_range(const Tensor& tensor, std::int64_t first,
                                                std::int64_t count) noexcept {
  const std::byte* data = tensor.data().data();
  std::size_t at = 0;
  std::size_t begin = 0;
  for (std::int64_t i = 0; i < first + count; ++i) {
    if (i == first) begin = at;
    std::uint32_t length = 0;
    std::memcpy(&length, data + at, sizeof length);
    at += sizeof length + length;
  }
  return {count == 0 ? at : begin, at};
}

Tensor bytes_rows(const Tensor& whole, std::int64_t first, std::int64_t rows) {
  const std::int64_t per_row = whole.shape()[0] == 0 ? 0 : whole.elements() / whole.shape()[0];
  const auto [begin, end] = bytes_range(whole, first * per_row, rows * per_row);
  Shape shape = whole.shape();
  shape[0] = rows;
  return Tensor(DType::kBytes, shape, whole.data().slice(begin, end - begin));
}

}  // namespace

BatchLayout::BatchLayout(const engine::Signature& signature,
                         const std::map<std::string, double>& pad)
    : signature_(signature), batchable_(signature.batchable()) {
  inputs_.resize(signature_.inputs.size());
  crops_.resize(signature_.outputs.size());
  for (const auto& [name, value] : pad) {
    const int index = signature_.input_index(name);
    if (index < 0)
      throw Error(Code::kInvalidArgument, fmt::format("pad: the model has no input '{}'", name));
    const engine::TensorSpec& spec = signature_.inputs[static_cast<std::size_t>(index)];
    if (spec.dtype == DType::kBytes) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("pad: the BYTES input '{}' cannot be padded", name));
    }
    inputs_[static_cast<std::size_t>(index)] = {true, element_bits(spec.dtype, value)};
  }
  for (std::size_t o = 0; o < crops_.size(); ++o) {
    const std::vector<std::string>& names = signature_.outputs[o].dim_names;
    for (std::size_t d = 1; d < names.size(); ++d) {
      if (names[d].empty()) continue;
      for (std::size_t i = 0; i < inputs_.size(); ++i) {
        const std::vector<std::string>& input_names = signature_.inputs[i].dim_names;
        const auto at = std::find(input_names.begin(), input_names.end(), names[d]);
        if (!inputs_[i].padded || at == input_names.end()) continue;
        crops_[o].push_back({d, i, static_cast<std::size_t>(at - input_names.begin())});
        break;
      }
    }
  }
}

std::int64_t BatchLayout::length_group(std::int64_t length) noexcept {
  if (length <= 2) return length;
  const auto power = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(length)));
  const std::int64_t half_step = power / 4 * 3;
  return length <= half_step ? half_step : power;
}

std::int64_t BatchLayout::check_inputs(Tensors& inputs) const {
  const std::vector<engine::TensorSpec>& specs = signature_.inputs;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    std::size_t at = i;
    while (at < inputs.size() && inputs[at].name != specs[i].name) ++at;
    if (at >= inputs.size()) {
      get_tensor(inputs, specs[i].name);  // throws, naming those there are
      throw Error(Code::kInvalidArgument, fmt::format("input '{}' is given twice", specs[i].name));
    }
    if (at != i) std::swap(inputs[i], inputs[at]);
    engine::check_fits(specs[i], inputs[i].tensor);
  }
  if (inputs.size() > specs.size()) {
    const std::string& extra = inputs[specs.size()].name;
    const char* why =
        signature_.input_index(extra) >= 0 ? "is given twice" : "is not one of the model's";
    throw Error(Code::kInvalidArgument, fmt::format("input '{}' {}", extra, why));
  }
  if (!batchable_) return 1;
  const std::int64_t rows = inputs.front().tensor.shape()[0];
  for (const NamedTensor& input : inputs) {
    if (input.tensor.shape()[0] == rows) continue;
    throw Error(Code::kInvalidArgument,
                fmt::format("input '{}' has {} rows, but '{}' has {}", inputs.front().name, rows,
                            input.name, input.tensor.shape()[0]));
  }
  if (rows == 0)
    throw Error(Code::kInvalidArgument, fmt::format("input '{}' has no rows", inputs.front().name));
  return rows;
}

std::uint64_t BatchLayout::shape_key(const Tensors& inputs) const noexcept {
  std::uint64_t key = 0x9e3779b97f4a7c15;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Shape& shape = inputs[i].tensor.shape();
    for (std::size_t d = batchable_ ? 1 : 0; d < shape.rank(); ++d) {
      if (signature_.inputs[i].shape[d] >= 0) continue;
      const std::int64_t length = inputs_[i].padded ? length_group(shape[d]) : shape[d];
      key = (key ^ static_cast<std::uint64_t>(length)) * 0xff51afd7ed558ccd;
      key ^= key >> 32;
    }
  }
  return key;
}

Tensor BatchLayout::gather(std::size_t input, std::span<const Tensors* const> requests,
                           Allocator& allocator) const {
  Shape shape = (*requests.front())[input].tensor.shape();
  shape[0] = 0;
  bool ragged = false;
  std::size_t bytes = 0;
  for (const Tensors* request : requests) {
    const Tensor& part = (*request)[input].tensor;
    shape[0] += part.shape()[0];
    bytes += part.data().size();
    for (std::size_t d = 1; d < shape.rank(); ++d) {
      if (part.shape()[d] == shape[d]) continue;
      if (!inputs_[input].padded) {
        throw Error(Code::kInternal,
                    fmt::format("requests of different shapes {} and {} met in one batch",
                                to_string(part.shape()), to_string(shape)));
      }
      shape[d] = std::max(shape[d], part.shape()[d]);
      ragged = true;
    }
  }
  const DType dtype = signature_.inputs[input].dtype;
  if (dtype == DType::kBytes || !ragged) {
    Bytes memory = allocator.allocate(bytes);
    std::size_t at = 0;
    for (const Tensors* request : requests) {
      const std::span<const std::byte> part = (*request)[input].tensor.data().span();
      if (!part.empty()) std::memcpy(memory.mutable_data() + at, part.data(), part.size());
      at += part.size();
    }
    return Tensor(dtype, shape,
                  memory.size() == bytes ? std::move(memory) : memory.slice(0, bytes));
  }
  Tensor whole = Tensor::allocate(dtype, shape, allocator);
  const std::size_t element_size = dtype_size(dtype);
  std::byte* to = whole.mutable_data().mutable_data();
  fill_with(to, whole.data().size(), inputs_[input].fill, element_size);
  const std::size_t row_bytes = whole.data().size() / static_cast<std::size_t>(shape[0]);
  for (const Tensors* request : requests) {
    const Tensor& part = (*request)[input].tensor;
    copy_block(part.data().data(), part.shape(), to, shape, part.shape(), 0, element_size);
    to += row_bytes * static_cast<std::size_t>(part.shape()[0]);
  }
  return whole;
}

void BatchLayout::check_output(std::size_t output, const Tensor& whole, std::int64_t rows) const {
  if (whole.shape().rank() > 0 && whole.shape()[0] == rows) return;
  throw Error(Code::kInternal,
              fmt::format("output '{}' of a batch of {} rows has the shape {}",
                          signature_.outputs[output].name, rows, to_string(whole.shape())));
}

Tensor BatchLayout::scatter(std::size_t output, const Tensor& whole, std::int64_t first,
                            std::int64_t rows, const Tensors& inputs,
                            std::span<const Tensor> batch_inputs, Allocator& allocator) const {
  if (whole.dtype() == DType::kBytes) return bytes_rows(whole, first, rows);
  Tensor part = whole.rows(first, rows);
  Shape wanted = part.shape();
  for (const Crop& crop : crops_[output]) {
    if (crop.output_dim >= wanted.rank()) continue;
    const std::int64_t padded = batch_inputs[crop.input].shape()[crop.input_dim];
    if (wanted[crop.output_dim] == padded) {
      wanted[crop.output_dim] = inputs[crop.input].tensor.shape()[crop.input_dim];
    }
  }
  if (wanted == part.shape()) return part;
  Tensor cut = Tensor::allocate(whole.dtype(), wanted, allocator);
  copy_block(part.data().data(), part.shape(), cut.mutable_data().mutable_data(), wanted, wanted, 0,
             dtype_size(whole.dtype()));
  return cut;
}

}  // namespace baozi::pipeline
