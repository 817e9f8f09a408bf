#include "baozi/api/tfserving_format.h"

#include <fmt/format.h>

#include <cmath>
#include <functional>

#include "baozi/api/base64.h"
#include "baozi/api/json_writer.h"
#include "baozi/base/error.h"

namespace baozi::api {
namespace {

template <class T>
void append_value(std::string& out, T value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    append_value(out, to_float(value));
  } else if constexpr (std::is_same_v<T, bool>) {
    out += value ? "true" : "false";
  } else if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) {
      out += "NaN";
    } else if (std::isinf(value)) {
      out += value > 0 ? "Infinity" : "-Infinity";
    } else {
      const std::size_t start = out.size();
      append_json_number(out, value);
      if (out.find_first_of(".e", start) == std::string::npos) out += ".0";
    }
  } else {
    append_json_number(out, value);
  }
}

void append_text(std::string& out, std::string_view text, bool as_b64) {
  if (!as_b64 && is_utf8(text)) return append_json_string(out, text);
  out += R"({"b64":")";
  out += encode_base64(text);
  out += "\"}";
}

// Writes elements one after the other, by index.
using ElementWriter = std::function<void(std::string&, std::size_t)>;

template <class T>
ElementWriter writer_of(const Tensor& tensor) {
  return [values = tensor.values<T>()](std::string& out, std::size_t i) {
    append_value(out, values[i]);
  };
}

ElementWriter element_writer(const NamedTensor& output) {
  const Tensor& tensor = output.tensor;
  switch (tensor.dtype()) {
    case DType::kBool:
      return writer_of<bool>(tensor);
    case DType::kUint8:
      return writer_of<std::uint8_t>(tensor);
    case DType::kUint16:
      return writer_of<std::uint16_t>(tensor);
    case DType::kUint32:
      return writer_of<std::uint32_t>(tensor);
    case DType::kUint64:
      return writer_of<std::uint64_t>(tensor);
    case DType::kInt8:
      return writer_of<std::int8_t>(tensor);
    case DType::kInt16:
      return writer_of<std::int16_t>(tensor);
    case DType::kInt32:
      return writer_of<std::int32_t>(tensor);
    case DType::kInt64:
      return writer_of<std::int64_t>(tensor);
    case DType::kFp16:
      return writer_of<Half>(tensor);
    case DType::kBf16:
      return writer_of<BFloat16>(tensor);
    case DType::kFp32:
      return writer_of<float>(tensor);
    case DType::kFp64:
      return writer_of<double>(tensor);
    case DType::kBytes:
      break;
  }
  // TensorFlow Serving's own rule: outputs called "…_bytes" are binary.
  return [texts = tensor.strings(), as_b64 = output.name.ends_with("_bytes")](
             std::string& out, std::size_t i) { append_text(out, texts[i], as_b64); };
}

// The nested lists of dimensions `level` and on; `next` counts through the elements.
void append_nested(std::string& out, const Shape& shape, std::size_t level,
                   const ElementWriter& write, std::size_t& next) {
  if (level == shape.rank()) {
    write(out, next++);
    return;
  }
  out += '[';
  for (std::int64_t i = 0; i < shape[level]; ++i) {
    if (i > 0) out += ',';
    append_nested(out, shape, level + 1, write, next);
  }
  out += ']';
}

void check_rows(const NamedTensor& output, std::size_t row_count) {
  const Shape& shape = output.tensor.shape();
  if (shape.rank() > 0 && shape[0] == static_cast<std::int64_t>(row_count)) return;
  throw Error(Code::kFailedPrecondition,
              fmt::format("output '{}' of shape {} has not one row for each of the {} instances; "
                          "ask with 'inputs' instead of 'instances'",
                          output.name, to_string(shape), row_count));
}

// One output, read row by row.
struct RowWriter {
  const NamedTensor* output;
  ElementWriter write;
  std::size_t next = 0;

  void append_row(std::string& out) { append_nested(out, output->tensor.shape(), 1, write, next); }
};

bool is_float(DType dtype) {
  return dtype == DType::kFp16 || dtype == DType::kBf16 || dtype == DType::kFp32 ||
         dtype == DType::kFp64;
}

// The output called "scores", else the first of floats.
const NamedTensor& scores_of(const model::InferResponse& response) {
  const NamedTensor* found = nullptr;
  for (const NamedTensor& output : response.outputs) {
    if (!is_float(output.tensor.dtype())) continue;
    if (output.name == "scores") return output;
    if (found == nullptr) found = &output;
  }
  if (found == nullptr) {
    throw Error(Code::kFailedPrecondition, "the model has no output of floats; use :predict");
  }
  return *found;
}

const NamedTensor* labels_like(const model::InferResponse& response, const Shape& shape) {
  for (const NamedTensor& output : response.outputs) {
    if (output.tensor.dtype() == DType::kBytes && output.tensor.shape() == shape) return &output;
  }
  return nullptr;
}

std::string_view tf_state(model::State state) {
  switch (state) {
    case model::State::kAbsent:
      return "START";
    case model::State::kOpening:
    case model::State::kLoading:
    case model::State::kWarming:
      return "LOADING";
    case model::State::kReady:
      return "AVAILABLE";
    case model::State::kDraining:
      return "UNLOADING";
    case model::State::kUnloaded:
    case model::State::kFailed:
      break;
  }
  return "END";
}

std::string_view tf_type(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return "DT_BOOL";
    case DType::kUint8:
      return "DT_UINT8";
    case DType::kUint16:
      return "DT_UINT16";
    case DType::kUint32:
      return "DT_UINT32";
    case DType::kUint64:
      return "DT_UINT64";
    case DType::kInt8:
      return "DT_INT8";
    case DType::kInt16:
      return "DT_INT16";
    case DType::kInt32:
      return "DT_INT32";
    case DType::kInt64:
      return "DT_INT64";
    case DType::kFp16:
      return "DT_HALF";
    case DType::kBf16:
      return "DT_BFLOAT16";
    case DType::kFp32:
      return "DT_FLOAT";
    case DType::kFp64:
      return "DT_DOUBLE";
    case DType::kBytes:
      return "DT_STRING";
  }
  return "DT_INVALID";
}

void append_tensor_infos(std::string& out, std::span<const engine::TensorSpec> specs) {
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const engine::TensorSpec& spec = specs[i];
    if (i > 0) out += ',';
    append_json_text(out, spec.name);
    out += R"(:{"dtype":")";
    out += tf_type(spec.dtype);
    out += R"(","tensor_shape":{"dim":[)";
    for (std::size_t d = 0; d < spec.shape.rank(); ++d) {
      if (d > 0) out += ',';
      out += fmt::format(R"({{"size":"{}","name":)", spec.shape[d]);
      append_json_text(out, d < spec.dim_names.size() ? spec.dim_names[d] : std::string());
      out += '}';
    }
    out += R"(],"unknown_rank":false},"name":)";
    append_json_text(out, spec.name + ":0");
    out += '}';
  }
}

}  // namespace

std::string format_tf_predictions(const model::InferResponse& response, std::size_t row_count) {
  std::vector<RowWriter> writers;
  for (const NamedTensor& output : response.outputs) {
    check_rows(output, row_count);
    writers.push_back({&output, element_writer(output)});
  }
  std::string out = R"({"predictions":[)";
  for (std::size_t row = 0; row < row_count; ++row) {
    if (row > 0) out += ',';
    if (writers.size() == 1) {
      writers.front().append_row(out);
      continue;
    }
    out += '{';
    for (std::size_t i = 0; i < writers.size(); ++i) {
      if (i > 0) out += ',';
      append_json_text(out, writers[i].output->name);
      out += ':';
      writers[i].append_row(out);
    }
    out += '}';
  }
  out += "]}";
  return out;
}

std::string format_tf_outputs(const model::InferResponse& response) {
  const auto append = [](std::string& out, const NamedTensor& output) {
    std::size_t next = 0;
    append_nested(out, output.tensor.shape(), 0, element_writer(output), next);
  };
  std::string out = R"({"outputs":)";
  if (response.outputs.size() == 1) {
    append(out, response.outputs.front());
  } else {
    out += '{';
    for (std::size_t i = 0; i < response.outputs.size(); ++i) {
      if (i > 0) out += ',';
      append_json_text(out, response.outputs[i].name);
      out += ':';
      append(out, response.outputs[i]);
    }
    out += '}';
  }
  out += '}';
  return out;
}

std::string format_tf_classify(const model::InferResponse& response, std::size_t row_count,
                               const std::vector<std::string>& labels) {
  const NamedTensor& scores = scores_of(response);
  check_rows(scores, row_count);
  const NamedTensor* names = labels_like(response, scores.tensor.shape());
  const std::vector<std::string_view> texts =
      names != nullptr ? names->tensor.strings() : std::vector<std::string_view>();
  const ElementWriter write = element_writer(scores);
  const auto elements = static_cast<std::size_t>(scores.tensor.elements());
  const std::size_t width = row_count == 0 ? 0 : elements / row_count;
  std::string out = R"({"results":[)";
  for (std::size_t row = 0; row < row_count; ++row) {
    out += row > 0 ? ",[" : "[";
    for (std::size_t i = 0; i < width; ++i) {
      const std::size_t at = row * width + i;
      out += i > 0 ? ",[" : "[";
      if (names != nullptr) {
        append_json_text(out, texts[at]);
      } else {
        append_json_text(out, i < labels.size() ? labels[i] : std::to_string(i));
      }
      out += ',';
      write(out, at);
      out += ']';
    }
    out += ']';
  }
  out += "]}";
  return out;
}

std::string format_tf_regress(const model::InferResponse& response, std::size_t row_count) {
  const NamedTensor& values = scores_of(response);
  check_rows(values, row_count);
  if (values.tensor.elements() != static_cast<std::int64_t>(row_count)) {
    throw Error(Code::kFailedPrecondition,
                fmt::format("output '{}' of shape {} has more than one value a row; use :predict",
                            values.name, to_string(values.tensor.shape())));
  }
  const ElementWriter write = element_writer(values);
  std::string out = R"({"results":[)";
  for (std::size_t row = 0; row < row_count; ++row) {
    if (row > 0) out += ',';
    write(out, row);
  }
  out += "]}";
  return out;
}

std::string format_tf_status(std::span<const model::VersionStatus> versions) {
  std::string out = R"({"model_version_status":[)";
  for (std::size_t i = 0; i < versions.size(); ++i) {
    const model::VersionStatus& status = versions[i];
    if (i > 0) out += ',';
    out += R"({"version":)";
    append_json_text(out, status.version);
    out += R"(,"state":")";
    out += tf_state(status.state);
    out += R"(","status":{"error_code":")";
    out += status.state == model::State::kFailed ? "UNKNOWN" : "OK";
    out += R"(","error_message":)";
    append_json_text(out, status.reason);
    out += "}}";
  }
  out += "]}";
  return out;
}

std::string format_tf_metadata(const model::Servable& servable) {
  std::string out = R"({"model_spec":{"name":)";
  append_json_text(out, servable.name());
  out += R"(,"signature_name":"","version":)";
  append_json_text(out, servable.version());
  out += R"(},"metadata":{"signature_def":{"signature_def":{"serving_default":{"inputs":{)";
  append_tensor_infos(out, servable.signature().inputs);
  out += R"(},"outputs":{)";
  append_tensor_infos(out, servable.signature().outputs);
  out += R"(},"method_name":"tensorflow/serving/predict"}}}}})";
  return out;
}

}  // namespace baozi::api
