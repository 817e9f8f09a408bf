#include "baozi/base/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "baozi/base/error.h"

namespace baozi {
namespace {

constexpr std::int64_t kElementsMax = std::int64_t{1} << 48;

struct DTypeRow {
  std::string_view name;
  std::size_t size;
};
// In the order of DType.
constexpr std::array<DTypeRow, 14> kDTypes{{{"BOOL", 1},
                                            {"UINT8", 1},
                                            {"UINT16", 2},
                                            {"UINT32", 4},
                                            {"UINT64", 8},
                                            {"INT8", 1},
                                            {"INT16", 2},
                                            {"INT32", 4},
                                            {"INT64", 8},
                                            {"FP16", 2},
                                            {"BF16", 2},
                                            {"FP32", 4},
                                            {"FP64", 8},
                                            {"BYTES", 0}}};

std::uint32_t read_length(const std::byte* at) noexcept {
  std::uint32_t length;
  std::memcpy(&length, at, sizeof length);
  return length;
}

}  // namespace

std::string_view dtype_name(DType dtype) noexcept {
  return kDTypes[static_cast<std::size_t>(dtype)].name;
}

std::optional<DType> dtype_from_name(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kDTypes.size(); ++i) {
    if (kDTypes[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

std::size_t dtype_size(DType dtype) noexcept {
  return kDTypes[static_cast<std::size_t>(dtype)].size;
}

float to_float(Half value) noexcept {
  const std::uint32_t sign = (value.bits & 0x8000u) << 16;
  const std::uint32_t exponent = (value.bits >> 10) & 0x1fu;
  std::uint32_t mantissa = value.bits & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  const float subnormal = static_cast<float>(mantissa) * 0x1p-24f;
  return sign != 0 ? -subnormal : subnormal;
}

float to_float(BFloat16 value) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

Half to_half(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return {static_cast<std::uint16_t>(sign | 0x7e00u)};  // NaN stays NaN
  if (magnitude >= 0x477ff000u)
    return {static_cast<std::uint16_t>(sign | 0x7c00u)};  // rounds to infinity
  if (magnitude < 0x38800000u) {  // subnormal half: let float addition do the rounding
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return {
        static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u))};
  }
  const std::uint32_t odd = (magnitude >> 13) & 1u;
  return {static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13))};
}

BFloat16 to_bfloat16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  }
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

Shape::Shape(std::span<const std::int64_t> dims) {
  for (const std::int64_t dim : dims) push_back(dim);
}

void Shape::push_back(std::int64_t dim) {
  if (rank_ == kRankMax) {
    throw Error(Code::kInvalidArgument,
                fmt::format("a tensor has at most {} dimensions", kRankMax));
  }
  dims_[rank_++] = dim;
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  bool zero = false;
  for (const std::int64_t dim : dims()) {
    if (dim < 0) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("shape {} has a negative dimension", to_string(*this)));
    }
    if (dim == 0) zero = true;
    if (dim > kElementsMax || (dim > 0 && product > kElementsMax / dim)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("shape {} has more than 2^48 elements", to_string(*this)));
    }
    if (dim > 0) product *= dim;
  }
  return zero ? 0 : product;
}

bool operator==(const Shape& a, const Shape& b) noexcept {
  return std::ranges::equal(a.dims(), b.dims());
}

std::string to_string(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape.dims(), ","));
}

Tensor::Tensor(DType dtype, Shape shape, Bytes data)
    : dtype_(dtype), shape_(shape), data_(std::move(data)) {
  const std::int64_t count = shape_.elements();
  if (dtype_ == DType::kBytes) {
    check_bytes_elements(data_.span(), count);
    return;
  }
  const std::size_t wanted = static_cast<std::size_t>(count) * dtype_size(dtype_);
  if (data_.size() != wanted) {
    throw Error(Code::kInvalidArgument,
                fmt::format("a {} tensor of shape {} takes {} bytes, but {} were given",
                            dtype_name(dtype_), to_string(shape_), wanted, data_.size()));
  }
}

Tensor Tensor::allocate(DType dtype, Shape shape, Allocator& allocator) {
  assert(dtype != DType::kBytes);
  const std::size_t size = static_cast<std::size_t>(shape.elements()) * dtype_size(dtype);
  Bytes data = allocator.allocate(size);
  return Tensor(dtype, shape, data.size() == size ? std::move(data) : data.slice(0, size));
}

Tensor Tensor::of_strings(Shape shape, std::span<const std::string_view> elements) {
  std::size_t size = 0;
  for (const std::string_view element : elements) size += sizeof(std::uint32_t) + element.size();
  Bytes data = Bytes::allocate(size);
  std::byte* at = data.mutable_data();
  for (const std::string_view element : elements) {
    const auto length = static_cast<std::uint32_t>(element.size());
    std::memcpy(at, &length, sizeof length);
    if (length > 0) std::memcpy(at + sizeof length, element.data(), length);
    at += sizeof length + length;
  }
  return Tensor(DType::kBytes, shape, std::move(data));
}

Tensor Tensor::reshaped(Shape shape) const {
  if (shape.elements() != elements()) {
    throw Error(Code::kInvalidArgument, fmt::format("a tensor of shape {} cannot become {}",
                                                    to_string(shape_), to_string(shape)));
  }
  Tensor other = *this;
  other.shape_ = shape;
  return other;
}

Tensor Tensor::rows(std::int64_t first, std::int64_t count) const {
  assert(dtype_ != DType::kBytes && shape_.rank() > 0);
  assert(first >= 0 && count >= 0 && first + count <= shape_[0]);
  const std::size_t row = shape_[0] == 0 ? 0 : data_.size() / static_cast<std::size_t>(shape_[0]);
  Tensor part;
  part.dtype_ = dtype_;
  part.shape_ = shape_;
  part.shape_[0] = count;
  part.data_ =
      data_.slice(static_cast<std::size_t>(first) * row, static_cast<std::size_t>(count) * row);
  return part;
}

std::vector<std::string_view> Tensor::strings() const {
  assert(dtype_ == DType::kBytes);
  std::vector<std::string_view> elements;
  elements.reserve(static_cast<std::size_t>(shape_.elements()));
  const std::byte* at = data_.data();
  const std::byte* end = at + data_.size();
  while (at != end) {
    const std::uint32_t length = read_length(at);
    elements.emplace_back(reinterpret_cast<const char*>(at + sizeof length), length);
    at += sizeof length + length;
  }
  return elements;
}

const Tensor* find_tensor(const Tensors& tensors, std::string_view name) noexcept {
  for (const NamedTensor& named : tensors) {
    if (named.name == name) return &named.tensor;
  }
  return nullptr;
}

const Tensor& get_tensor(const Tensors& tensors, std::string_view name) {
  if (const Tensor* tensor = find_tensor(tensors, name)) return *tensor;
  std::vector<std::string_view> names;
  for (const NamedTensor& named : tensors) names.push_back(named.name);
  throw Error(Code::kInvalidArgument,
              fmt::format("no tensor '{}' among [{}]", name, fmt::join(names, ", ")));
}

void check_bytes_elements(std::span<const std::byte> data, std::int64_t elements) {
  std::size_t at = 0;
  std::int64_t seen = 0;
  while (at < data.size() && seen < elements) {
    if (data.size() - at < sizeof(std::uint32_t)) break;
    const std::size_t length = read_length(data.data() + at);
    if (data.size() - at - sizeof(std::uint32_t) < length) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("BYTES element {} says it has {} bytes, but only {} are left", seen,
                              length, data.size() - at - sizeof(std::uint32_t)));
    }
    at += sizeof(std::uint32_t) + length;
    ++seen;
  }
  if (seen != elements || at != data.size()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} BYTES elements expected, {} found in {} bytes ({} bytes left over)",
                            elements, seen, data.size(), data.size() - at));
  }
}

}  // namespace baozi
