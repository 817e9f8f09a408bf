// OnnxRuntime: the process's one ONNX Runtime environment, its log, and the providers that were
// added to it.
//
// Thread safety: all functions; the environment is made on first use and lives as long as the
// program.
#pragma once

#include <onnxruntime_cxx_api.h>

#include <string>
#include <string_view>

#include "baozi/base/error.h"
#include "baozi/engine/engine.h"
#include "baozi/engine/plugin.h"

namespace baozi::engine {

// Where log lines go; before that, to this copy's own log. Call it before anything else.
void set_onnx_host(const EngineHost& host) noexcept;
void onnx_log(int level, std::string_view text) noexcept;

// Throws Error kFailedPrecondition when the library found is older than the headers this was built
// with.
Ort::Env& onnx_environment();

// Puts the wanted providers into the session's options, in order; "cpu" is always there as the
// last. Throws Error kFailedPrecondition that says what is there when one is missing.
void add_providers(Ort::SessionOptions& session, const ModelOptions& options);

// What ONNX Runtime said, as our error. `prefix` starts the message.
Error load_error(const std::string& prefix, OrtErrorCode code, std::string_view message);
Error run_error(const std::string& prefix, OrtErrorCode code, std::string_view message);

}  // namespace baozi::engine
