#include "baozi/api/kserve_format.h"

#include <fmt/format.h>

#include <cmath>

#include "baozi/api/classification.h"
#include "baozi/api/json_writer.h"

namespace baozi::api {
namespace {

constexpr std::size_t kHeadReserve = 256;    // id, names, the braces
constexpr std::size_t kOutputReserve = 128;  // name, type, shape of an output
constexpr std::size_t kElementReserve = 12;  // a usual number and its comma
constexpr std::size_t kChunk = 64;           // numbers written between two appends

[[noreturn]] void needs_binary(std::string_view name, std::size_t index, std::string_view what) {
  throw Error(
      Code::kFailedPrecondition,
      fmt::format("output '{}': element {} is {}, which JSON cannot carry; ask for the output "
                  "with \"parameters\":{{\"binary_data\":true}}",
                  name, index, what));
}

template <class T>
auto printable(T value, std::string_view name, std::size_t index) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return printable(to_float(value), name, index);
  } else {
    if constexpr (std::is_floating_point_v<T>) {
      if (!std::isfinite(value)) needs_binary(name, index, std::isnan(value) ? "NaN" : "infinite");
    }
    return value;
  }
}

template <class T>
void append_numbers(std::string& out, std::string_view name, std::span<const T> values) {
  char chunk[kChunk * (kNumberCharsMax + 1)];
  for (std::size_t first = 0; first < values.size(); first += kChunk) {
    char* at = chunk;
    const std::size_t last = std::min(first + kChunk, values.size());
    for (std::size_t i = first; i < last; ++i) {
      at = std::to_chars(at, at + kNumberCharsMax, printable(values[i], name, i)).ptr;
      *at++ = ',';
    }
    if (last == values.size()) --at;  // no comma behind the last
    out.append(chunk, at);
  }
}

void append_bools(std::string& out, std::span<const bool> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    out += values[i] ? "true" : "false";
  }
}

void append_strings(std::string& out, std::string_view name, const Tensor& tensor) {
  std::size_t index = 0;
  for (const std::string_view text : tensor.strings()) {
    if (index > 0) out += ',';
    if (!is_utf8(text)) needs_binary(name, index, "no UTF-8 text");
    append_json_string(out, text);
    ++index;
  }
}

void append_data(std::string& out, std::string_view name, const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::kBool:
      return append_bools(out, tensor.values<bool>());
    case DType::kUint8:
      return append_numbers(out, name, tensor.values<std::uint8_t>());
    case DType::kUint16:
      return append_numbers(out, name, tensor.values<std::uint16_t>());
    case DType::kUint32:
      return append_numbers(out, name, tensor.values<std::uint32_t>());
    case DType::kUint64:
      return append_numbers(out, name, tensor.values<std::uint64_t>());
    case DType::kInt8:
      return append_numbers(out, name, tensor.values<std::int8_t>());
    case DType::kInt16:
      return append_numbers(out, name, tensor.values<std::int16_t>());
    case DType::kInt32:
      return append_numbers(out, name, tensor.values<std::int32_t>());
    case DType::kInt64:
      return append_numbers(out, name, tensor.values<std::int64_t>());
    case DType::kFp16:
      return append_numbers(out, name, tensor.values<Half>());
    case DType::kBf16:
      return append_numbers(out, name, tensor.values<BFloat16>());
    case DType::kFp32:
      return append_numbers(out, name, tensor.values<float>());
    case DType::kFp64:
      return append_numbers(out, name, tensor.values<double>());
    case DType::kBytes:
      return append_strings(out, name, tensor);
  }
}

void append_parameters(std::string& out, const model::Parameters& parameters) {
  out += R"(,"parameters":{)";
  bool first = true;
  for (const auto& [name, value] : parameters) {
    if (!first) out += ',';
    first = false;
    append_json_text(out, name);
    out += ':';
    std::visit(
        [&out]<class T>(const T& held) {
          if constexpr (std::is_same_v<T, bool>)
            out += held ? "true" : "false";
          else if constexpr (std::is_same_v<T, std::string>)
            append_json_text(out, held);
          else if constexpr (std::is_same_v<T, double>) {
            if (std::isfinite(held))
              append_json_number(out, held);
            else
              out += "null";
          } else
            append_json_number(out, held);
        },
        value);
  }
  out += '}';
}

void append_output(KserveReply& reply, std::string_view name, const Tensor& tensor, bool binary) {
  std::string& out = reply.json;
  out += R"({"name":)";
  append_json_text(out, name);
  out += R"(,"datatype":")";
  out += dtype_name(tensor.dtype());
  out += R"(","shape":)";
  append_json_shape(out, tensor.shape());
  if (binary) {
    out += R"(,"parameters":{"binary_data_size":)";
    append_json_number(out, tensor.data().size());
    out += "}}";
    reply.tensors.push_back(tensor.data());
    return;
  }
  out += R"(,"data":[)";
  append_data(out, name, tensor);
  out += "]}";
}

std::size_t size_to_reserve(const model::InferResponse& response) {
  std::size_t size = kHeadReserve;
  for (const NamedTensor& output : response.outputs) {
    const std::size_t width = dtype_size(output.tensor.dtype());
    const std::size_t bytes = output.tensor.data().size();
    size += kOutputReserve + (width == 0 ? bytes * 2 : bytes / width * kElementReserve);
  }
  return size;
}

}  // namespace

KserveReply format_kserve_infer(const model::InferResponse& response, const OutputWishes& wishes,
                                const ClassNames& classes) {
  KserveReply reply;
  std::string& out = reply.json;
  out.reserve(wishes.binary_by_default ? kHeadReserve + kOutputReserve * response.outputs.size()
                                       : size_to_reserve(response));
  out += '{';
  if (!response.id.empty()) {
    out += R"("id":)";
    append_json_text(out, response.id);
    out += ',';
  }
  out += R"("model_name":)";
  append_json_text(out, response.model);
  out += R"(,"model_version":)";
  append_json_text(out, response.version);
  if (!response.parameters.empty()) append_parameters(out, response.parameters);
  out += R"(,"outputs":[)";
  for (std::size_t i = 0; i < response.outputs.size(); ++i) {
    if (i > 0) out += ',';
    const NamedTensor& output = response.outputs[i];
    const bool binary = wishes.binary(i);
    if (const std::uint32_t count = wishes.classes(i); count > 0) {
      static const std::vector<std::string> kNoLabels;
      append_output(reply, output.name,
                    classification_tensor(output.tensor, classes.batched, count,
                                          classes.labels != nullptr ? *classes.labels : kNoLabels),
                    binary);
    } else {
      append_output(reply, output.name, output.tensor, binary);
    }
  }
  out += "]}";
  return reply;
}

std::string format_error(std::string_view message) {
  std::string out = R"({"error":)";
  append_json_text(out, message);
  out += '}';
  return out;
}

}  // namespace baozi::api
