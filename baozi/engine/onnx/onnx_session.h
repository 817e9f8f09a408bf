// A model's options as ONNX Runtime's, and a session from a file. Internal to the engine.
//
// Thread safety: free functions.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <cstdint>
#include <filesystem>

#include "baozi/coro/stop.h"
#include "baozi/engine/engine.h"

namespace baozi::engine {

// Errors: kInvalidArgument, and kFailedPrecondition for a provider that is missing.
Ort::SessionOptions session_options(const ModelOptions& options);

// Throws Error kResourceExhausted when the weights are more than options allow.
void check_memory(const std::filesystem::path& file, std::uint64_t weights,
                  const ModelOptions& options);

// Ends early when `stop` asks for it. Errors: as Engine::load; the messages start with the file.
Ort::Session open_session(const std::filesystem::path& file, Ort::SessionOptions& options,
                          const StopToken& stop);

}  // namespace baozi::engine
