#include "baozi/engine/onnx/onnx_layers.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <fstream>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/onnx/graph_split.h"
#include "baozi/engine/onnx/onnx_session.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProbe = "probe.onnx";
// Sizes of free dimensions, as sequences and pictures have them; so many that the model takes are
// compared.
constexpr std::array<std::int64_t, 5> kSizes{32, 64, 224, 16, 1};
constexpr int kCompared = 2;

void write(const fs::path& file, const std::string& text) {
  std::ofstream stream(file, std::ios::binary);
  stream.write(text.data(), static_cast<std::streamsize>(text.size()));
  stream.close();
  if (!stream) throw Error(Code::kUnavailable, fmt::format("cannot write {}", file.string()));
}

std::string info_of(const Ort::Session& session, std::size_t output) {
  Ort::AllocatorWithDefaultOptions allocator;
  ValueInfo value{session.GetOutputNameAllocated(output, allocator).get()};
  const Ort::TypeInfo type = session.GetOutputTypeInfo(output);
  if (type.GetONNXType() != ONNX_TYPE_TENSOR)
    throw NotSplit(fmt::format("'{}', which would cross, is no tensor", value.name));
  const auto tensor = type.GetTensorTypeAndShapeInfo();
  value.element_type = static_cast<int>(tensor.GetElementType());
  value.dims = tensor.GetShape();
  value.known = !value.dims.empty();  // no dimensions: a scalar, or nobody knows
  for (const char* name : tensor.GetSymbolicDimensions())
    value.dim_names.emplace_back(name == nullptr ? "" : name);
  return value_info_text(value);
}

// The types of the values that cross, by ONNX Runtime.
std::map<std::string, std::string> infos_of(const GraphSplit& split, std::size_t outputs,
                                            const fs::path& folder, const ModelOptions& options,
                                            const StopToken& stop) {
  std::map<std::string, std::string> infos;
  if (split.crossing().empty()) return infos;
  const fs::path probe = folder / kProbe;
  struct Removal {
    const fs::path& file;
    ~Removal() {
      std::error_code ignored;
      fs::remove(file, ignored);
    }
  } const removal{probe};
  write(probe, split.probe());
  Ort::SessionOptions unpacked = prepared_options(options);
  unpacked.AddConfigEntry("session.disable_prepacking", "1");
  const Ort::Session session = open_session(probe, unpacked, stop);
  for (std::size_t i = 0; i < split.crossing().size(); ++i)
    infos[split.crossing()[i]] = info_of(session, outputs + i);
  return infos;
}

// Small numbers that are not all the same; whole ones are 0 and 1, so that they are indices of
// something.
Tensor sample(const TensorSpec& spec, std::int64_t rows, std::int64_t size) {
  Shape shape = spec.shape;
  for (std::size_t d = 0; d < shape.rank(); ++d) {
    if (shape[d] < 0) shape[d] = d == 0 ? rows : size;
  }
  if (spec.dtype == DType::kBytes) {
    const std::vector<std::string_view> texts(static_cast<std::size_t>(shape.elements()), "bun");
    return Tensor::of_strings(shape, texts);
  }
  Tensor tensor = Tensor::allocate(spec.dtype, shape);
  const std::size_t size_of_one = dtype_size(spec.dtype);
  std::byte* at = tensor.mutable_data().mutable_data();
  std::memset(at, 0, tensor.data().size());
  const auto count = static_cast<std::size_t>(shape.elements());
  for (std::size_t i = 0; i < count; ++i, at += size_of_one) {
    const double part = static_cast<double>(i % 101) / 101;
    const auto single = static_cast<float>(part);
    const Half half = to_half(single);
    const BFloat16 brain = to_bfloat16(single);
    if (spec.dtype == DType::kFp64) {
      std::memcpy(at, &part, sizeof part);
    } else if (spec.dtype == DType::kFp32) {
      std::memcpy(at, &single, sizeof single);
    } else if (spec.dtype == DType::kFp16) {
      std::memcpy(at, &half, sizeof half);
    } else if (spec.dtype == DType::kBf16) {
      std::memcpy(at, &brain, sizeof brain);
    } else {
      *at = static_cast<std::byte>(i % 3 == 0 ? 0 : 1);  // little-endian
    }
  }
  return tensor;
}

bool same(const Tensor& left, const Tensor& right) {
  return left.dtype() == right.dtype() && left.shape() == right.shape() &&
         left.data().size() == right.data().size() &&
         (left.data().empty() ||
          std::memcmp(left.data().data(), right.data().data(), left.data().size()) == 0);
}

std::vector<Tensor> run(Model& model, const std::vector<Tensor>& inputs, const StopToken& stop) {
  std::vector<Tensor> outputs(model.signature().outputs.size());
  model.create_instance(heap_allocator())->run(inputs, outputs, stop);
  return outputs;
}

std::vector<Tensor> run_parts(Model& parts, const std::vector<Tensor>& inputs,
                              const StopToken& stop) {
  try {
    return run(parts, inputs, stop);
  } catch (const Error& error) {
    throw_if_stopped(stop);
    throw NotSplit(fmt::format("in parts it fails: {}", error.message()));
  }
}

}  // namespace

std::string part_name(std::size_t part) { return fmt::format("part-{}.onnx", part); }

Ort::SessionOptions prepared_options(const ModelOptions& options) {
  Ort::SessionOptions session = session_options(options);
  session.SetGraphOptimizationLevel(ORT_DISABLE_ALL);
  return session;
}

void write_parts(const GraphFile& graph, const fs::path& folder, std::size_t parts,
                 const ModelOptions& options, const StopToken& stop) {
  const GraphSplit split(graph, parts);
  const std::map<std::string, std::string> infos =
      infos_of(split, graph.outputs.size(), folder, options, stop);
  for (std::size_t i = 0; i < parts; ++i) write(folder / part_name(i), split.part(i, infos));
}

void prove_same(Model& whole, Model& parts, const StopToken& stop) {
  const Signature& signature = whole.signature();
  int compared = 0;
  std::string refusal;
  for (const std::int64_t size : kSizes) {
    std::vector<Tensor> inputs;
    std::vector<Tensor> expected;
    try {
      for (const TensorSpec& spec : signature.inputs)
        inputs.push_back(sample(spec, 1 + compared, size));
      expected = run(whole, inputs, stop);
    } catch (const Error& error) {
      throw_if_stopped(stop);
      refusal = error.message();  // of the sample; another may do
      continue;
    }
    const std::vector<Tensor> found = run_parts(parts, inputs, stop);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (same(found[i], expected[i])) continue;
      throw NotSplit(fmt::format("in parts it answers something else: its output '{}' differs",
                                 signature.outputs[i].name));
    }
    if (++compared == kCompared) return;
  }
  if (compared == 0) {
    throw NotSplit(fmt::format(
        "it takes none of the samples made from its signature, so that nobody could prove that its "
        "parts answer as the whole: {}",
        refusal));
  }
}

}  // namespace baozi::engine
