#include "baozi/model/tensor_proto.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/base/wire.h"

namespace baozi::model {
namespace {

// Field numbers of tensor.proto and tensor_shape.proto.
enum : std::uint32_t { kDtype = 1, kShape = 2, kContent = 4, kStringVal = 8 };
enum : std::uint32_t { kDim = 2, kUnknownRank = 3, kDimSize = 1 };

// How a type is called in types.proto, and where its values stand.
struct Kind {
  DType dtype;
  std::uint32_t number;
  std::uint32_t field;
};
constexpr std::array<Kind, 14> kKinds{{{DType::kFp32, 1, 5},
                                       {DType::kFp64, 2, 6},
                                       {DType::kInt32, 3, 7},
                                       {DType::kUint8, 4, 7},
                                       {DType::kInt16, 5, 7},
                                       {DType::kInt8, 6, 7},
                                       {DType::kBytes, 7, kStringVal},
                                       {DType::kInt64, 9, 10},
                                       {DType::kBool, 10, 11},
                                       {DType::kBf16, 14, 13},
                                       {DType::kUint16, 17, 7},
                                       {DType::kFp16, 19, 13},
                                       {DType::kUint32, 22, 16},
                                       {DType::kUint64, 23, 17}}};

[[noreturn]] void refuse(std::string message) {
  throw Error(Code::kInvalidArgument, std::move(message));
}

Shape read_shape(std::string_view message) {
  Shape shape;
  WireReader fields(message);
  for (WireField field; fields.next(field);) {
    if (field.number == kUnknownRank && field.value != 0) refuse("its rank is not known");
    if (field.number != kDim || field.kind != WireField::Kind::kBytes) continue;
    std::int64_t size = 0;
    WireReader dim(field.bytes);
    for (WireField part; dim.next(part);) {
      if (part.number == kDimSize) size = static_cast<std::int64_t>(part.value);
    }
    shape.push_back(size);
  }
  (void)shape.elements();  // throws for what is negative or too large
  return shape;
}

// A tensor's values as they stand in the message.
struct Values {
  std::string_view content;
  std::vector<std::string_view> strings;
  std::string bytes;  // of the repeated field, one after the other in the tensor's own width
};

// Of a number's bits as the wire has them; widths are at most 8.
void append_value(std::string& out, std::uint64_t bits, std::size_t width) {
  char bytes[sizeof bits];
  std::memcpy(bytes, &bits, sizeof bits);
  out.append(bytes, width);
}

// One value, or a packed run of them; floats and doubles are of fixed width on the wire, too.
void read_values(const WireField& field, DType dtype, std::string& out) {
  const std::size_t width = dtype_size(dtype);
  if (field.kind != WireField::Kind::kBytes) return append_value(out, field.value, width);
  if (dtype == DType::kFp32 || dtype == DType::kFp64) {
    if (field.bytes.size() % width != 0) refuse("a run of values ends in the middle of one");
    out += field.bytes;
    return;
  }
  WireReader run(field.bytes);
  while (!run.done()) append_value(out, run.varint(), width);
}

Values read_values(std::string_view message, const Kind& kind) {
  Values values;
  WireReader fields(message);
  for (WireField field; fields.next(field);) {
    const bool bytes = field.kind == WireField::Kind::kBytes;
    if (field.number == kContent && bytes) {
      values.content = field.bytes;
    } else if (field.number == kind.field) {
      if (kind.dtype != DType::kBytes) {
        read_values(field, kind.dtype, values.bytes);
      } else if (bytes) {
        values.strings.push_back(field.bytes);
      }
    }
  }
  return values;
}

Tensor make_strings(const Shape& shape, std::vector<std::string_view> strings) {
  const auto count = static_cast<std::size_t>(shape.elements());
  if (strings.size() > count)
    refuse(fmt::format("it has {} strings, its shape {} has {}", strings.size(), to_string(shape),
                       count));
  strings.resize(count, strings.empty() ? std::string_view() : strings.back());
  return Tensor::of_strings(shape, strings);
}

// Bytes of a BOOL other than 0 and 1 are no bools.
Tensor checked(Tensor tensor) {
  if (tensor.dtype() != DType::kBool) return tensor;
  const std::string_view text = tensor.data().text();
  if (std::ranges::any_of(text, [](char byte) { return byte != 0 && byte != 1; }))
    refuse("a bool is neither 0 nor 1");
  return tensor;
}

Tensor make_tensor(DType dtype, const Shape& shape, const Values& values) {
  const std::size_t width = dtype_size(dtype);
  const std::size_t size = static_cast<std::size_t>(shape.elements()) * width;
  if (!values.content.empty()) {
    if (values.content.size() != size)
      refuse(fmt::format("its content has {} bytes, its shape {} takes {}", values.content.size(),
                         to_string(shape), size));
    return checked(Tensor(dtype, shape, Bytes::copy_of(values.content)));
  }
  if (values.bytes.size() > size)
    refuse(fmt::format("it has {} values, its shape {} has {}", values.bytes.size() / width,
                       to_string(shape), size / width));
  Tensor tensor = Tensor::allocate(dtype, shape);
  std::byte* const to = tensor.mutable_data().mutable_data();
  if (!values.bytes.empty()) std::memcpy(to, values.bytes.data(), values.bytes.size());
  for (std::size_t at = values.bytes.size(); at < size; at += width) {
    if (at == 0) {
      std::memset(to, 0, width);
    } else {
      std::memcpy(to + at, to + at - width, width);
    }
  }
  return checked(std::move(tensor));
}

}  // namespace

Tensor parse_tensor_proto(std::string_view message, std::size_t bytes_max) {
  std::uint64_t type = 0;
  Shape shape;
  WireReader fields(message);
  for (WireField field; fields.next(field);) {
    if (field.number == kDtype) type = field.value;
    if (field.number == kShape && field.kind == WireField::Kind::kBytes)
      shape = read_shape(field.bytes);
  }
  const auto kind = std::ranges::find(kKinds, type, &Kind::number);
  if (kind == kKinds.end()) {
    throw Error(Code::kUnimplemented,
                fmt::format("its TensorFlow type {} is none that a model here takes", type));
  }
  const auto elements = static_cast<std::uint64_t>(shape.elements());
  if (elements > bytes_max / std::max<std::size_t>(dtype_size(kind->dtype), 8))
    refuse(fmt::format("its shape {} takes more than {} bytes", to_string(shape), bytes_max));
  Values values = read_values(message, *kind);
  if (kind->dtype == DType::kBytes) return make_strings(shape, std::move(values.strings));
  return make_tensor(kind->dtype, shape, values);
}

std::string format_tensor_proto(const Tensor& tensor) {
  std::string shape;
  for (const std::int64_t size : tensor.shape()) {
    std::string dim;
    append_field(dim, kDimSize, static_cast<std::uint64_t>(size));
    append_field(shape, kDim, std::string_view(dim));
  }
  std::string out;
  const auto kind = std::ranges::find(kKinds, tensor.dtype(), &Kind::dtype);
  append_field(out, kDtype, std::uint64_t{kind->number});
  append_field(out, kShape, std::string_view(shape));
  if (tensor.dtype() != DType::kBytes) {
    append_field(out, kContent, tensor.data().text());
    return out;
  }
  for (const std::string_view element : tensor.strings()) append_field(out, kStringVal, element);
  return out;
}

}  // namespace baozi::model
