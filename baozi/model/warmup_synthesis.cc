#include "baozi/model/warmup_synthesis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>

namespace baozi::model {
namespace {

constexpr std::array<std::int64_t, 3> kLengths{16, 64, 128};
constexpr std::array<std::int64_t, 3> kImageLengths{224, 320, 640};
constexpr std::uint32_t kSeed = 20'260'101;
constexpr std::array<std::string_view, 4> kWords{"steam", "bun", "tea", "table"};

enum class Meaning { kPlain, kMask, kType, kPosition };

Meaning meaning_of(const std::string& name) {
  const auto speaks_of = [&name](std::string_view word) {
    return std::ranges::search(name, word, [](char a, char b) {
             return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
           }).begin() != name.end();
  };
  if (speaks_of("mask")) return Meaning::kMask;
  if (speaks_of("type") || speaks_of("segment")) return Meaning::kType;
  if (speaks_of("position")) return Meaning::kPosition;
  return Meaning::kPlain;
}

// std::mt19937 is the same everywhere, the standard's distributions are not.
double unit(std::mt19937& random) { return static_cast<double>(random() >> 8) / (1u << 24); }

template <class T>
T element(Meaning meaning, std::int64_t place, std::mt19937& random) {
  constexpr bool kFloating = std::is_floating_point_v<T> || std::is_class_v<T>;
  double value = kFloating ? unit(random) : static_cast<double>(random() >> 31);
  if constexpr (std::is_same_v<T, std::uint8_t>) value = static_cast<double>(random() >> 24);
  if (meaning == Meaning::kMask) value = 1;
  if (meaning == Meaning::kType) value = 0;
  if (meaning == Meaning::kPosition) value = static_cast<double>(place);
  if constexpr (std::is_same_v<T, Half>) {
    return to_half(static_cast<float>(value));
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bfloat16(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

template <class T>
Tensor filled(Meaning meaning, const Shape& shape, std::mt19937& random) {
  Tensor tensor = Tensor::allocate(dtype_of<T>(), shape);
  const std::int64_t width =
      shape.rank() == 0 ? 1 : std::max<std::int64_t>(shape[shape.rank() - 1], 1);
  std::int64_t at = 0;
  for (T& value : tensor.mutable_values<T>()) value = element<T>(meaning, at++ % width, random);
  return tensor;
}

Tensor words(const Shape& shape) {
  std::vector<std::string_view> elements;
  for (std::int64_t i = 0; i < shape.elements(); ++i)
    elements.push_back(kWords[static_cast<std::size_t>(i) % kWords.size()]);
  return Tensor::of_strings(shape, elements);
}

// The input's shape for one row. Where requests cannot be batched, a free first dimension of
// several counts as the batch all the same.
Shape shape_of(const engine::TensorSpec& spec, bool batchable, std::int64_t length) {
  Shape shape = spec.shape;
  for (std::size_t d = 0; d < shape.rank(); ++d) {
    if (shape[d] >= 0) continue;
    const bool batch = d == 0 && (batchable || shape.rank() > 1);
    shape[d] = batch ? 1 : length;
  }
  return shape;
}

bool any_image(const engine::Signature& signature) {
  return std::ranges::any_of(signature.inputs,
                             [](const engine::TensorSpec& spec) { return spec.shape.rank() == 4; });
}

std::size_t bytes_of(const engine::TensorSpec& spec, const Shape& shape) {
  double bytes = static_cast<double>(std::max<std::size_t>(dtype_size(spec.dtype), 8));
  for (const std::int64_t dim : shape) bytes *= static_cast<double>(std::max<std::int64_t>(dim, 1));
  return bytes > 1e18 ? std::size_t{1} << 60 : static_cast<std::size_t>(bytes);
}

}  // namespace

Tensor synthesise_tensor(const std::string& name, DType dtype, const Shape& shape) {
  std::mt19937 random(kSeed);
  const Meaning meaning = meaning_of(name);
  switch (dtype) {
    case DType::kBool:
      return filled<bool>(meaning, shape, random);
    case DType::kUint8:
      return filled<std::uint8_t>(meaning, shape, random);
    case DType::kUint16:
      return filled<std::uint16_t>(meaning, shape, random);
    case DType::kUint32:
      return filled<std::uint32_t>(meaning, shape, random);
    case DType::kUint64:
      return filled<std::uint64_t>(meaning, shape, random);
    case DType::kInt8:
      return filled<std::int8_t>(meaning, shape, random);
    case DType::kInt16:
      return filled<std::int16_t>(meaning, shape, random);
    case DType::kInt32:
      return filled<std::int32_t>(meaning, shape, random);
    case DType::kInt64:
      return filled<std::int64_t>(meaning, shape, random);
    case DType::kFp16:
      return filled<Half>(meaning, shape, random);
    case DType::kBf16:
      return filled<BFloat16>(meaning, shape, random);
    case DType::kFp32:
      return filled<float>(meaning, shape, random);
    case DType::kFp64:
      return filled<double>(meaning, shape, random);
    case DType::kBytes:
      break;
  }
  return words(shape);
}

std::vector<WarmupSample> synthesise_samples(const engine::Signature& signature) {
  const bool batchable = signature.batchable();
  std::vector<WarmupSample> samples;
  for (const std::int64_t length : any_image(signature) ? kImageLengths : kLengths) {
    std::size_t bytes = 0;
    std::vector<Shape> shapes;
    for (const engine::TensorSpec& spec : signature.inputs) {
      shapes.push_back(shape_of(spec, batchable, length));
      bytes += bytes_of(spec, shapes.back());
    }
    if (bytes > kSampleBytesMax) break;
    WarmupSample sample;
    sample.origin = SampleOrigin::kSynthesised;
    sample.from = "a synthesised sample";
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const engine::TensorSpec& spec = signature.inputs[i];
      sample.inputs.push_back({spec.name, synthesise_tensor(spec.name, spec.dtype, shapes[i])});
    }
    const auto same_shape = [](const NamedTensor& a, const NamedTensor& b) {
      return a.tensor.shape() == b.tensor.shape();
    };
    const bool nothing_free =
        !samples.empty() && std::ranges::equal(samples.back().inputs, sample.inputs, same_shape);
    if (nothing_free) break;
    sample.from += fmt::format(" of length {}", length);
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace baozi::model
