// Writes tiny ONNX files for tests: messages in protobuf's wire encoding, put together from
// strings.
//
// Thread safety: free functions.
// Format: onnx.proto; field numbers beside the names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/engine/onnx_file/wire_writer.h"

namespace baozi::engine::onnx_writer {

using wire_writer::message;
using wire_writer::number;

// A float tensor's ValueInfoProto {name 1, type 2}; dimensions are names.
inline std::string value_info(std::string_view name, const std::vector<std::string>& dims,
                              int element_type = 1) {
  std::string shape;
  for (const std::string& dim : dims) shape += message(1, message(2, dim));
  const std::string tensor =
      number(1, static_cast<std::uint64_t>(element_type)) + message(2, shape);
  return message(1, name) + message(2, message(1, tensor));
}

// NodeProto {input 1, output 2, op_type 4, attribute 5}.
inline std::string node(std::string_view op, const std::vector<std::string>& inputs,
                        std::string_view output, std::string_view attributes = "") {
  std::string text;
  for (const std::string& input : inputs) text += message(1, input);
  return text + message(2, output) + message(4, op) + std::string(attributes);
}

// AttributeProto {name 1, i 3, type 20 = INT} as a field of a node.
inline std::string int_attribute(std::string_view name, std::uint64_t value) {
  return message(5, message(1, name) + number(3, value) + number(20, 2));
}

// TensorProto {dims 1, data_type 2, name 8, external_data 13, data_location 14} for a float vector
// in another file.
inline std::string external_tensor(std::string_view name, std::uint64_t elements,
                                   std::string_view location, std::string_view offset,
                                   std::string_view length) {
  const auto entry = [](std::string_view key, std::string_view value) {
    return message(13, message(1, key) + message(2, value));
  };
  return number(1, elements) + number(2, 1) + message(8, name) + entry("location", location) +
         entry("offset", offset) + entry("length", length) + number(14, 1);
}

// ModelProto {ir_version 1, producer_name 2, graph 7, opset_import 8 {version 2}, metadata_props
// 14}.
inline std::string model(std::string_view graph) {
  return number(1, 8) + message(2, "baozi tests") +
         message(7, message(2, "tiny") + std::string(graph)) + message(8, number(2, 17)) +
         message(14, message(1, "colour") + message(2, "green"));
}

}  // namespace baozi::engine::onnx_writer
