#include "baozi/model/face.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "baozi/model/cached_response.h"
#include "baozi/model/request.h"

namespace baozi::model {
namespace {

using engine::TensorSpec;

constexpr char kInput = '<';
constexpr char kOutput = '>';
constexpr std::string_view kLabels = "labels";
constexpr auto kLastType = static_cast<std::int64_t>(DType::kBytes);

NamedTensor encode(char kind, const TensorSpec& spec) {
  std::vector<std::int64_t> numbers{static_cast<std::int64_t>(spec.dtype)};
  numbers.insert(numbers.end(), spec.shape.begin(), spec.shape.end());
  return {kind + spec.name,
          Tensor::of<std::int64_t>({static_cast<std::int64_t>(numbers.size())}, numbers)};
}

std::optional<TensorSpec> decode(const NamedTensor& named) {
  if (named.tensor.dtype() != DType::kInt64) return std::nullopt;
  const std::span<const std::int64_t> numbers = named.tensor.values<std::int64_t>();
  if (numbers.empty() || numbers.size() > Shape::kRankMax + 1 || numbers[0] < 0 ||
      numbers[0] > kLastType) {
    return std::nullopt;
  }
  TensorSpec spec{named.name.substr(1), static_cast<DType>(numbers[0]), {}};
  for (const std::int64_t size : numbers.subspan(1)) {
    if (size < -1) return std::nullopt;
    spec.shape.push_back(size);
  }
  return spec;
}

}  // namespace

bool makes_vectors(const engine::Signature& signature) noexcept {
  if (signature.inputs.size() != 1 || signature.outputs.size() != 1) return false;
  const TensorSpec& input = signature.inputs.front();
  const TensorSpec& output = signature.outputs.front();
  return input.dtype == DType::kBytes && input.shape.rank() == 1 && output.dtype == DType::kFp32 &&
         output.shape.rank() == 2;
}

Bytes encode_face(const Face& face, std::size_t room) {
  InferResponse response;
  for (const TensorSpec& input : face.signature.inputs)
    response.outputs.push_back(encode(kInput, input));
  for (const TensorSpec& output : face.signature.outputs)
    response.outputs.push_back(encode(kOutput, output));
  const std::vector<std::string_view> labels(face.labels.begin(), face.labels.end());
  response.outputs.push_back(
      {std::string(kLabels),
       Tensor::of_strings({static_cast<std::int64_t>(labels.size())}, labels)});
  return encode_response(response, room);
}

std::optional<Face> decode_face(const Bytes& block) {
  const std::optional<InferResponse> response = decode_response(block);
  if (!response) return std::nullopt;
  Face face;
  bool labelled = false;
  for (const NamedTensor& named : response->outputs) {
    if (named.name == kLabels) {
      if (named.tensor.dtype() != DType::kBytes || std::exchange(labelled, true))
        return std::nullopt;
      for (const std::string_view label : named.tensor.strings()) face.labels.emplace_back(label);
      continue;
    }
    const char kind = named.name.empty() ? ' ' : named.name.front();
    if (kind != kInput && kind != kOutput) return std::nullopt;
    std::optional<TensorSpec> spec = decode(named);
    if (!spec) return std::nullopt;
    auto& specs = kind == kInput ? face.signature.inputs : face.signature.outputs;
    specs.push_back(*std::move(spec));
  }
  return face;
}

}  // namespace baozi::model
