// Tensor: element type, shape and bytes, row-major. The currency between protocols, pipelines and
// engines.
//
// BYTES tensors hold, one after the other, a 4-byte little-endian length and that many bytes for
// each element: the form of KServe's binary extension (Open Inference Protocol v2), so that no
// conversion happens between socket and pipeline.
//
// Thread safety: values; see Bytes for the memory.
//
//   Tensor t = Tensor::of<float>({2, 3}, values);
//   std::span<const float> v = t.values<float>();
//   Tensor s = Tensor::of_strings({1}, {"hello"});
//   std::string_view first = t.strings().front();
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "baozi/base/bytes.h"

namespace baozi {

enum class DType : std::uint8_t {
  kBool,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kFp16,
  kBf16,
  kFp32,
  kFp64,
  kBytes,
};

// KServe's names: "FP32", "BYTES", …
std::string_view dtype_name(DType dtype) noexcept;
std::optional<DType> dtype_from_name(std::string_view name) noexcept;
// Bytes an element takes; 0 for kBytes, whose elements vary.
std::size_t dtype_size(DType dtype) noexcept;

// FP16 and BF16 values travel as their bits in these.
struct Half {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};
float to_float(Half value) noexcept;
float to_float(BFloat16 value) noexcept;
Half to_half(float value) noexcept;          // round to nearest even
BFloat16 to_bfloat16(float value) noexcept;  // round to nearest even

template <class T>
constexpr DType dtype_of() {
  using U = std::remove_cv_t<T>;
  if constexpr (std::is_same_v<U, bool>)
    return DType::kBool;
  else if constexpr (std::is_same_v<U, std::uint8_t>)
    return DType::kUint8;
  else if constexpr (std::is_same_v<U, std::uint16_t>)
    return DType::kUint16;
  else if constexpr (std::is_same_v<U, std::uint32_t>)
    return DType::kUint32;
  else if constexpr (std::is_same_v<U, std::uint64_t>)
    return DType::kUint64;
  else if constexpr (std::is_same_v<U, std::int8_t>)
    return DType::kInt8;
  else if constexpr (std::is_same_v<U, std::int16_t>)
    return DType::kInt16;
  else if constexpr (std::is_same_v<U, std::int32_t>)
    return DType::kInt32;
  else if constexpr (std::is_same_v<U, std::int64_t>)
    return DType::kInt64;
  else if constexpr (std::is_same_v<U, Half>)
    return DType::kFp16;
  else if constexpr (std::is_same_v<U, BFloat16>)
    return DType::kBf16;
  else if constexpr (std::is_same_v<U, float>)
    return DType::kFp32;
  else {
    static_assert(std::is_same_v<U, double>, "no tensor element type");
    return DType::kFp64;
  }
}

// Dimensions kept inline. In a signature -1 means "any"; in a tensor every dimension is >= 0.
class Shape {
 public:
  static constexpr std::size_t kRankMax = 8;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  // Throws Error kInvalidArgument above kRankMax dimensions.
  explicit Shape(std::span<const std::int64_t> dims);

  std::size_t rank() const noexcept { return rank_; }
  std::int64_t operator[](std::size_t i) const noexcept { return dims_[i]; }
  std::int64_t& operator[](std::size_t i) noexcept { return dims_[i]; }
  std::span<const std::int64_t> dims() const noexcept { return {dims_.data(), rank_}; }
  const std::int64_t* begin() const noexcept { return dims_.data(); }
  const std::int64_t* end() const noexcept { return dims_.data() + rank_; }

  // Throws Error kInvalidArgument above kRankMax dimensions.
  void push_back(std::int64_t dim);

  // The number of elements. Throws Error kInvalidArgument for a negative dimension or when the
  // product exceeds 2^48.
  std::int64_t elements() const;

  friend bool operator==(const Shape& a, const Shape& b) noexcept;

 private:
  std::array<std::int64_t, kRankMax> dims_{};
  std::size_t rank_ = 0;
};

std::string to_string(const Shape& shape);  // "[2,3]"

class Tensor {
 public:
  Tensor() = default;
  // `data` must hold exactly the elements; throws Error kInvalidArgument otherwise.
  Tensor(DType dtype, Shape shape, Bytes data);

  // Not initialised; for fixed-size element types.
  static Tensor allocate(DType dtype, Shape shape, Allocator& allocator = heap_allocator());
  static Tensor of_strings(Shape shape, std::span<const std::string_view> elements);
  static Tensor of_strings(Shape shape, std::initializer_list<std::string_view> elements) {
    return of_strings(shape, std::span(elements.begin(), elements.size()));
  }
  template <class T>
  static Tensor of(Shape shape, std::span<const T> elements) {
    return Tensor(dtype_of<T>(), shape, Bytes::copy_of(std::as_bytes(elements)));
  }
  template <class T>
  static Tensor of(Shape shape, std::initializer_list<T> elements) {
    return of<T>(shape, std::span<const T>(elements.begin(), elements.size()));
  }

  DType dtype() const noexcept { return dtype_; }
  const Shape& shape() const noexcept { return shape_; }
  const Bytes& data() const noexcept { return data_; }
  Bytes& mutable_data() noexcept { return data_; }
  std::int64_t elements() const { return shape_.elements(); }

  // The same bytes under another shape of as many elements; throws Error kInvalidArgument
  // otherwise.
  Tensor reshaped(Shape shape) const;
  // Rows [first, first + count) of dimension 0, sharing the memory; for fixed-size element types.
  Tensor rows(std::int64_t first, std::int64_t count) const;

  // Precondition: T is the element type and the memory is aligned for it (all allocators' is).
  template <class T>
  std::span<const T> values() const {
    assert(dtype_of<T>() == dtype_);
    return {reinterpret_cast<const T*>(data_.data()), data_.size() / sizeof(T)};
  }
  template <class T>
  std::span<T> mutable_values() {
    assert(dtype_of<T>() == dtype_);
    return {reinterpret_cast<T*>(data_.mutable_data()), data_.size() / sizeof(T)};
  }
  // The elements of a BYTES tensor, as views into its memory.
  std::vector<std::string_view> strings() const;

 private:
  DType dtype_ = DType::kFp32;
  Shape shape_{0};
  Bytes data_;
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};
using Tensors = std::vector<NamedTensor>;

// The tensor called `name`, or null.
const Tensor* find_tensor(const Tensors& tensors, std::string_view name) noexcept;
// The tensor called `name`; throws Error kInvalidArgument that lists the names there are.
const Tensor& get_tensor(const Tensors& tensors, std::string_view name);

// Checks that `data` is a well-formed run of exactly `elements` BYTES elements; throws Error
// kInvalidArgument otherwise.
void check_bytes_elements(std::span<const std::byte> data, std::int64_t elements);

}  // namespace baozi
