// Models as ONNX Runtime left them after it optimised the graph and packed the weights for this
// processor: a graph and a file of weights beside it that is mapped, so that all processes of a
// host share it; in parts, where options ask for layers (onnx_layers.h). Internal to the engine.
//
// Thread safety: free functions. Several processes may share a store.
#pragma once

#include <filesystem>
#include <memory>

#include "baozi/coro/stop.h"
#include "baozi/engine/engine.h"

namespace baozi::engine {

// Nothing when there is no sound artefact for this file, version, processor and options, or when
// the file cannot be read (then load() says why). A model in parts is given back when the first
// part is there. Errors: those of `stop`; kResourceExhausted; kInvalidArgument for a number of
// layers that none can be.
std::shared_ptr<Model> load_prepared(const std::filesystem::path& file, const ModelOptions& options,
                                     const StopToken& stop);

// Engine::prepare.
Preparation prepare_model(const std::filesystem::path& file, const ModelOptions& options,
                          const StopToken& stop);

}  // namespace baozi::engine
