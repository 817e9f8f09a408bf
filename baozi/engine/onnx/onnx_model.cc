#include "baozi/engine/onnx/onnx_model.h"

#include <fmt/format.h>
#include <spdlog/common.h>

#include <array>
#include <optional>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/engine/onnx/onnx_instance.h"
#include "baozi/engine/onnx/onnx_runtime.h"

namespace baozi::engine {
namespace {

// In the order of DType.
constexpr std::array<ONNXTensorElementDataType, 14> kTypes{
    ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,     ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,   ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,   ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
    ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,   ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING};

DType our_type(ONNXTensorElementDataType type, const std::string& name) {
  for (std::size_t i = 0; i < kTypes.size(); ++i) {
    if (kTypes[i] == type) return static_cast<DType>(i);
  }
  throw Error(Code::kUnimplemented,
              fmt::format("tensor '{}' has ONNX element type {}, which cannot be served", name,
                          static_cast<int>(type)));
}

TensorSpec make_spec(std::string name, const Ort::TypeInfo& type) {
  if (type.GetONNXType() != ONNX_TYPE_TENSOR) {
    throw Error(Code::kUnimplemented,
                fmt::format("'{}' is no tensor; sequences, maps and optional values cannot be "
                            "served",
                            name));
  }
  const auto tensor = type.GetTensorTypeAndShapeInfo();
  TensorSpec spec;
  spec.dtype = our_type(tensor.GetElementType(), name);
  spec.name = std::move(name);
  spec.shape = Shape(tensor.GetShape());
  for (const char* dim : tensor.GetSymbolicDimensions())
    spec.dim_names.emplace_back(dim == nullptr ? "" : dim);
  return spec;
}

Signature read_signature(const Ort::Session& session) {
  Ort::AllocatorWithDefaultOptions allocator;
  Signature signature;
  for (std::size_t i = 0; i < session.GetInputCount(); ++i) {
    signature.inputs.push_back(
        make_spec(session.GetInputNameAllocated(i, allocator).get(), session.GetInputTypeInfo(i)));
  }
  for (std::size_t i = 0; i < session.GetOutputCount(); ++i) {
    signature.outputs.push_back(make_spec(session.GetOutputNameAllocated(i, allocator).get(),
                                          session.GetOutputTypeInfo(i)));
  }
  return signature;
}

std::map<std::string, std::string> read_metadata(const Ort::Session& session) {
  Ort::AllocatorWithDefaultOptions allocator;
  const Ort::ModelMetadata found = session.GetModelMetadata();
  std::map<std::string, std::string> metadata;
  const auto keep = [&metadata](const char* key, const char* value) {
    if (*value != '\0') metadata.emplace(key, value);
  };
  keep("producer", found.GetProducerNameAllocated(allocator).get());
  keep("graph", found.GetGraphNameAllocated(allocator).get());
  keep("domain", found.GetDomainAllocated(allocator).get());
  keep("description", found.GetDescriptionAllocated(allocator).get());
  if (found.GetVersion() > 0) metadata.emplace("version", std::to_string(found.GetVersion()));
  // The model's own entries win over the fixed ones of the same name.
  for (const Ort::AllocatedStringPtr& key : found.GetCustomMetadataMapKeysAllocated(allocator)) {
    const Ort::AllocatedStringPtr value =
        found.LookupCustomMetadataMapAllocated(key.get(), allocator);
    metadata[key.get()] = value ? value.get() : "";
  }
  return metadata;
}

std::optional<DimSource> find_dim(const Signature& signature, const std::string& name) {
  if (name.empty()) return std::nullopt;
  for (std::size_t i = 0; i < signature.inputs.size(); ++i) {
    const TensorSpec& input = signature.inputs[i];
    for (std::size_t d = 0; d < input.dim_names.size(); ++d) {
      if (input.shape[d] < 0 && input.dim_names[d] == name)
        return DimSource{static_cast<int>(i), static_cast<int>(d)};
    }
  }
  return std::nullopt;
}

// A rank of 0 stands for a scalar and for an unknown rank alike, and strings have no size: neither
// is foretold.
std::vector<DimSource> find_sources(const Signature& signature, const TensorSpec& output) {
  std::vector<DimSource> sources;
  if (output.dtype == DType::kBytes) return sources;
  for (std::size_t d = 0; d < output.shape.rank(); ++d) {
    if (output.shape[d] >= 0) {
      sources.emplace_back();
      continue;
    }
    const std::optional<DimSource> source = find_dim(signature, output.dim_names[d]);
    if (!source) return {};
    sources.push_back(*source);
  }
  return sources;
}

// Of the tensors for one row of a batch; what is not known counts as 1.
std::size_t tensor_bytes(const std::vector<TensorSpec>& specs) {
  double total = 0;
  for (const TensorSpec& spec : specs) {
    double bytes = static_cast<double>(dtype_size(spec.dtype));
    for (const std::int64_t dim : spec.shape) bytes *= dim > 0 ? static_cast<double>(dim) : 1.0;
    total += bytes;
  }
  return total > 1e18 ? std::size_t{1} << 60 : static_cast<std::size_t>(total);
}

}  // namespace

ONNXTensorElementDataType onnx_type(DType dtype) noexcept {
  return kTypes[static_cast<std::size_t>(dtype)];
}

OnnxModel::OnnxModel(std::string file, Signature signature,
                     std::map<std::string, std::string> metadata, OnnxModelFacts facts)
    : file_(std::move(file)),
      signature_(std::move(signature)),
      metadata_(std::move(metadata)),
      instance_bytes_(tensor_bytes(signature_.inputs) + tensor_bytes(signature_.outputs)),
      memory_bytes_(facts.weight_bytes + instance_bytes_),
      prepared_(facts.prepared),
      reading_(std::move(facts.reading)) {
  for (const TensorSpec& input : signature_.inputs) input_names_.push_back(input.name.c_str());
  for (const TensorSpec& output : signature_.outputs) {
    output_names_.push_back(output.name.c_str());
    sources_.push_back(find_sources(signature_, output));
  }
}

OnnxModel::OnnxModel(std::string file, Ort::Session session, OnnxModelFacts facts)
    : OnnxModel(std::move(file), read_signature(session), read_metadata(session),
                std::move(facts)) {
  session_ = std::move(session);
}

OnnxModel::OnnxModel(std::string file, OnnxParts parts, OnnxModelFacts facts, const StopToken& stop)
    : OnnxModel(std::move(file), std::move(parts.plan.signature), std::move(parts.plan.metadata),
                std::move(facts)) {
  chain_.emplace(signature_, static_cast<std::size_t>(parts.plan.parts), std::move(parts.open_part),
                 std::move(parts.open_whole), stop);
}

OrtStatus* OnnxModel::run(OrtRunOptions* options, std::span<const OrtValue* const> inputs,
                          std::span<OrtValue*> outputs, OnnxChain::Values& values,
                          const StopToken& stop) {
  if (chain_) return chain_->run(options, inputs, outputs, values, stop);
  return Ort::GetApi().Run(session_, options, input_names_.data(), inputs.data(), inputs.size(),
                           output_names_.data(), outputs.size(), outputs.data());
}

std::unique_ptr<Instance> OnnxModel::create_instance(Allocator& allocator) {
  return std::make_unique<OnnxInstance>(shared_from_this(), allocator);
}

bool OnnxModel::foretell_shape(std::size_t index, std::span<const Tensor> inputs,
                               Shape& shape) const noexcept {
  const std::vector<DimSource>& sources = sources_[index];
  if (sources.empty() || dim_names_lie_.load(std::memory_order_relaxed)) return false;
  shape = signature_.outputs[index].shape;
  for (std::size_t d = 0; d < sources.size(); ++d) {
    if (sources[d].input < 0) continue;
    const Shape& from = inputs[static_cast<std::size_t>(sources[d].input)].shape();
    shape[d] = from[static_cast<std::size_t>(sources[d].dim)];
  }
  return true;
}

void OnnxModel::distrust_dim_names() noexcept {
  if (dim_names_lie_.exchange(true)) return;
  onnx_log(spdlog::level::warn,
           file_ +
               ": the names of its dimensions do not agree with what it computes; its outputs "
               "are no longer allocated before a run");
}

namespace {

template <class Make>
std::shared_ptr<Model> translated(const std::string& file, const Make& make) {
  try {
    return make();
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", file, error.message()));
  } catch (const Ort::Exception& error) {
    throw load_error(file, error.GetOrtErrorCode(), error.what());
  }
}

}  // namespace

std::shared_ptr<Model> make_onnx_model(std::string file, Ort::Session session,
                                       OnnxModelFacts facts) {
  return translated(file, [&] {
    return std::make_shared<OnnxModel>(file, std::move(session), std::move(facts));
  });
}

std::shared_ptr<Model> make_onnx_model(std::string file, OnnxParts parts, OnnxModelFacts facts,
                                       const StopToken& stop) {
  return translated(file, [&] {
    return std::make_shared<OnnxModel>(file, std::move(parts), std::move(facts), stop);
  });
}

}  // namespace baozi::engine
