#include "baozi/engine/onnx/onnx_session.h"

#include <fmt/format.h>

#include "baozi/base/error.h"
#include "baozi/engine/onnx/onnx_runtime.h"

namespace baozi::engine {
namespace {

GraphOptimizationLevel optimization_level(int level) {
  switch (level) {
    case 0:
      return ORT_DISABLE_ALL;
    case 1:
      return ORT_ENABLE_BASIC;
    case 2:
      return ORT_ENABLE_EXTENDED;
    case 99:
      return ORT_ENABLE_ALL;
    default:
      throw Error(
          Code::kInvalidArgument,
          fmt::format(
              "optimization_level {} is none of 0 (none), 1 (basic), 2 (extended), 99 (all)",
              level));
  }
}

}  // namespace

Ort::SessionOptions session_options(const ModelOptions& options) {
  if (options.threads < 1) {
    throw Error(Code::kInvalidArgument,
                fmt::format("threads is {}, but must be at least 1", options.threads));
  }
  Ort::SessionOptions session;
  session.SetIntraOpNumThreads(options.threads);
  session.SetInterOpNumThreads(1);
  session.SetExecutionMode(ORT_SEQUENTIAL);
  session.SetGraphOptimizationLevel(optimization_level(options.optimization_level));
  // Spinning threads take the processor from the other models, and from the server itself.
  std::map<std::string, std::string> entries{{"session.intra_op.allow_spinning", "0"},
                                             {"session.inter_op.allow_spinning", "0"}};
  for (const auto& [key, value] : options.session_config) entries[key] = value;
  for (const auto& [key, value] : entries) {
    try {
      session.AddConfigEntry(key.c_str(), value.c_str());
    } catch (const Ort::Exception& error) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("session_config '{}': {}", key, error.what()));
    }
  }
  add_providers(session, options);
  return session;
}

void check_memory(const std::filesystem::path& file, std::uint64_t weights,
                  const ModelOptions& options) {
  const std::size_t limit = options.memory_bytes_max;
  if (limit == 0 || weights <= limit) return;
  throw Error(Code::kResourceExhausted, fmt::format("{}: its weights take about {} bytes, above "
                                                    "memory_bytes_max of {}; raise that, or unload "
                                                    "another model",
                                                    file.string(), weights, limit));
}

Ort::Session open_session(const std::filesystem::path& file, Ort::SessionOptions& options,
                          const StopToken& stop) {
  const auto cancel = [&options]() noexcept {
    // Nothing can be done about a failure here; the load then runs to its end.
    if (OrtStatus* status = Ort::GetApi().SessionOptionsSetLoadCancellationFlag(options, true)) {
      Ort::GetApi().ReleaseStatus(status);
    }
  };
  StopCallback on_stop(stop, cancel);
  try {
    return Ort::Session(onnx_environment(), file.c_str(), options);
  } catch (const Ort::Exception& error) {
    throw_if_stopped(stop);
    throw load_error(file.string(), error.GetOrtErrorCode(), error.what());
  } catch (const std::bad_alloc&) {
    throw Error(Code::kResourceExhausted,
                fmt::format("{}: the system has no memory for it", file.string()));
  }
}

}  // namespace baozi::engine
