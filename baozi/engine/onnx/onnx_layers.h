// A prepared model in parts: the files of the parts beside that of the whole, and the proof that
// they answer as it does. Internal to the engine.
//
//   folder/model.onnx     the whole, as ONNX Runtime optimised it
//   folder/part-0.onnx …  its nodes, shared among the parts
//   folder/weights.bin    of all of them
//
// Thread safety: free functions.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>

#include "baozi/coro/stop.h"
#include "baozi/engine/engine.h"
#include "baozi/engine/onnx/graph_file.h"
#include "baozi/engine/onnx/onnx_model.h"

namespace baozi::engine {

// "part-0.onnx"
std::string part_name(std::size_t part);

// The graph is optimised already; to do so again would take time, and could change it.
Ort::SessionOptions prepared_options(const ModelOptions& options);

// Writes the files of the parts. `graph` was read from folder/model.onnx. Errors: NotSplit, those
// of `stop`, kUnavailable when they cannot be written.
void write_parts(const GraphFile& graph, const std::filesystem::path& folder, std::size_t parts,
                 const ModelOptions& options, const StopToken& stop);

// Runs both on samples made from the signature, and throws NotSplit unless what they say is the
// same to the bit. Errors: also those of `stop`.
void prove_same(Model& whole, Model& parts, const StopToken& stop);

}  // namespace baozi::engine
