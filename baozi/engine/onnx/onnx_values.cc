#include "baozi/engine/onnx/onnx_values.h"

#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/engine/onnx/onnx_model.h"

namespace baozi::engine {
namespace {

Shape shape_of(const Ort::Value& value) {
  const auto info = value.GetTensorTypeAndShapeInfo();
  const std::size_t rank = info.GetDimensionsCount();
  if (rank > Shape::kRankMax) {
    throw Error(Code::kUnimplemented,
                "the model gave a tensor of more dimensions than can be served");
  }
  std::array<std::int64_t, Shape::kRankMax> dims;
  Ort::ThrowOnError(
      Ort::GetApi().GetDimensions(info, dims.data(), rank));  // the C++ form makes a vector
  return Shape(std::span<const std::int64_t>(dims.data(), rank));
}

}  // namespace

Ort::Value view_of(const OrtMemoryInfo* memory, const Tensor& tensor) {
  // ONNX Runtime wants an address even for a tensor without elements.
  alignas(64) static std::byte nothing[64];
  const Bytes& data = tensor.data();
  void* at = data.empty() ? nothing : const_cast<std::byte*>(data.data());
  const std::span<const std::int64_t> dims = tensor.shape().dims();
  return Ort::Value::CreateTensor(memory, at, data.size(), dims.data(), dims.size(),
                                  onnx_type(tensor.dtype()));
}

Ort::Value strings_to_value(const Tensor& tensor) {
  Ort::AllocatorWithDefaultOptions allocator;
  const std::span<const std::int64_t> dims = tensor.shape().dims();
  Ort::Value value = Ort::Value::CreateTensor(allocator, dims.data(), dims.size(),
                                              ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING);
  std::size_t index = 0;
  for (const std::string_view element : tensor.strings()) {
    char* at = value.GetResizedStringTensorElementBuffer(index++, element.size());
    if (!element.empty()) std::memcpy(at, element.data(), element.size());
  }
  return value;
}

Tensor strings_from_value(const Ort::Value& value, Allocator& allocator) {
  const Shape shape = shape_of(value);
  const auto count = static_cast<std::size_t>(shape.elements());
  std::size_t total = 0;
  for (std::size_t i = 0; i < count; ++i)
    total += sizeof(std::uint32_t) + value.GetStringTensorElementLength(i);
  Bytes data = allocator.allocate(total);
  std::byte* at = data.mutable_data();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t size = value.GetStringTensorElementLength(i);
    if (size > std::numeric_limits<std::uint32_t>::max()) {
      throw Error(Code::kOutOfRange, "the model gave a string of more than 4 GiB");
    }
    const auto length = static_cast<std::uint32_t>(size);
    std::memcpy(at, &length, sizeof length);
    at += sizeof length;
    if (size > 0) value.GetStringTensorElement(size, i, at);
    at += size;
  }
  return Tensor(DType::kBytes, shape,
                data.size() == total ? std::move(data) : data.slice(0, total));
}

class OutputKeeper::Node final : public BytesOwner {
 public:
  void fill(std::shared_ptr<OutputKeeper> keeper, Ort::Value value) noexcept {
    keeper_ = std::move(keeper);
    value_ = std::move(value);
    reset_refs();
  }

 private:
  void dispose() noexcept override {
    value_ = Ort::Value(nullptr);
    // The keeper goes with its last node, so it is held until the lock is released.
    const std::shared_ptr<OutputKeeper> keeper = std::move(keeper_);
    const std::lock_guard lock(keeper->mutex_);
    keeper->idle_.push_back(this);
  }

  Ort::Value value_{nullptr};
  std::shared_ptr<OutputKeeper> keeper_;  // while in use
};

OutputKeeper::~OutputKeeper() {
  for (Node* node : idle_) delete node;
}

Tensor OutputKeeper::keep(DType dtype, Ort::Value value) {
  const Shape shape = shape_of(value);
  const std::size_t size = static_cast<std::size_t>(shape.elements()) * dtype_size(dtype);
  auto* data = static_cast<std::byte*>(value.GetTensorMutableRawData());
  if (size == 0) return Tensor(dtype, shape, Bytes());
  Node* node = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) {
      idle_.reserve(nodes_ + 1);  // so that a node finds its place without an allocation
      node = new Node;
      ++nodes_;
    } else {
      node = idle_.back();
      idle_.pop_back();
    }
  }
  node->fill(shared_from_this(), std::move(value));
  return Tensor(dtype, shape, Bytes(data, size, node));
}

}  // namespace baozi::engine
