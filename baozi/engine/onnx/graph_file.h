// An ONNX graph as its file has it: the nodes in their order, what each uses and makes, and where
// in the file of weights beside it what they use lies. For graphs that ONNX Runtime wrote: nodes in
// topological order, weights in one file. Internal to the engine.
//
// Thread safety: values, and a free function.
// Format: onnx.proto (ModelProto, GraphProto, NodeProto, TensorProto) in protobuf's wire encoding;
// the entries "prepacked_N" of external data are ONNX Runtime's, "KEY|OFFSET;LENGTH;CHECKSUM|…".
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/engine/onnx_file/wire_reader.h"
#include "baozi/engine/read_ahead.h"

namespace baozi::engine {

struct GraphFile {
  struct Node {
    Field message;
    std::string op;  // "Gather"
    // Names of values: of its inputs, and of those that graphs within it may take from outside.
    std::vector<std::string> uses;
    std::vector<std::string> makes;
    std::vector<ByteRange> ranges;  // of weights of graphs within it
  };
  struct Weight {
    std::string name;
    Field message;
    std::vector<ByteRange> ranges;  // empty: it is in the graph's own file
    std::uint64_t bytes() const noexcept;
  };
  struct Value {
    std::string name;
    Field message;
  };

  std::string bytes;         // the whole file
  std::vector<Field> model;  // the fields of the model other than its graph
  std::vector<Field> rest;   // the fields of the graph other than those below
  std::vector<Node> nodes;
  std::vector<Weight> weights;
  std::vector<Value> inputs;
  std::vector<Value> outputs;
  bool sparse = false;  // it has weights in a sparse form, which are not among `weights`

  std::string_view text_of(const Field& message) const noexcept {
    return std::string_view(bytes).substr(message.begin, message.end - message.begin);
  }
};

// Errors: kInvalidArgument (not an ONNX graph, or one that cannot be read), without the file's
// name.
GraphFile read_graph(const std::filesystem::path& file);

// What of the file of weights is used, in the order of use; neighbours are one range. Tables that
// are looked up, of which a run needs a few rows only, come last.
std::vector<ByteRange> reads_of(const GraphFile& graph);

}  // namespace baozi::engine
