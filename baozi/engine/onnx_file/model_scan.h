// A look into an ONNX file before ONNX Runtime sees it: is it one at all, how large are its
// weights, and which other files does it refer to. Only the heads of the protobuf messages are
// read, never the weights themselves.
//
// Thread safety: a free function without state.
// Format: onnx.proto (ModelProto, GraphProto, TensorProto) in protobuf's wire encoding.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace baozi::engine {

struct ModelScan {
  std::uint64_t file_bytes = 0;
  std::uint64_t external_bytes = 0;                   // of the files below, each counted once
  std::vector<std::filesystem::path> external_files;  // beside the model, or in folders below it
};

// Errors: kNotFound (no such file), kInvalidArgument (not a regular file, empty, not protobuf, no
// graph, or weights in files that are missing, too short or outside the model's folder); the
// message starts with the file's name.
ModelScan scan_model(const std::filesystem::path& file);

}  // namespace baozi::engine
