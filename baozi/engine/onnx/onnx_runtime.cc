#include "baozi/engine/onnx/onnx_runtime.h"

#include <fmt/format.h>

#include <atomic>
#include <cstdlib>

#include "baozi/base/log.h"
#include "baozi/engine/onnx/ready_heap.h"

namespace baozi::engine {
namespace {

std::atomic<const EngineHost*> host{nullptr};

// What ONNX Runtime allocates to set itself up: names and types of all versions of all operators.
constexpr std::size_t kEnvironmentBytes = 9 << 20;

// What ONNX Runtime logs as an error it also returns as one, and whoever catches that reports it: a
// client that sends bad requests must not fill the log.
void ORT_API_CALL take_log_line(void*, OrtLoggingLevel severity, const char*, const char*,
                                const char*, const char* message) {
  auto level = spdlog::level::debug;
  if (severity == ORT_LOGGING_LEVEL_WARNING) level = spdlog::level::warn;
  if (severity == ORT_LOGGING_LEVEL_FATAL) level = spdlog::level::err;
  onnx_log(level, fmt::format("onnxruntime: {}", message));
}

bool has(std::string_view text, std::string_view part) noexcept {
  return text.find(part) != std::string_view::npos;
}

bool is_out_of_memory(std::string_view message) noexcept {
  return has(message, "Failed to allocate memory") || has(message, "bad_alloc") ||
         has(message, "smaller than requested bytes");
}

std::string_view trimmed(std::string_view message) noexcept {
  while (!message.empty() && (message.back() == '\n' || message.back() == ' '))
    message.remove_suffix(1);
  return message;
}

}  // namespace

void set_onnx_host(const EngineHost& given) noexcept { host.store(&given); }

void onnx_log(int level, std::string_view text) noexcept {
  if (const EngineHost* known = host.load()) {
    known->log(level, text);
  } else {
    log().log(static_cast<spdlog::level::level_enum>(level), text);
  }
}

Ort::Env& onnx_environment() {
  // Leaked on purpose: sessions may be freed while static objects are being destroyed.
  static auto* environment = [] {
    const OrtApiBase* base = OrtGetApiBase();
    if (base->GetApi(ORT_API_VERSION) == nullptr) {
      throw Error(Code::kFailedPrecondition,
                  fmt::format("libonnxruntime {} is too old: its API must be {} or later",
                              base->GetVersionString(), ORT_API_VERSION));
    }
    // Builds of ONNX Runtime's makers keep a data base of what is loaded in the user's cache folder
    // and send it off. A program that wants that sets the variable to 0; one with threads that read
    // the environment should set it before it starts them.
    ::setenv("ORT_DISABLE_TELEMETRY", "1", 0);
    const ReadyHeap heap(kEnvironmentBytes);
    return new Ort::Env(ORT_LOGGING_LEVEL_WARNING, "baozi", &take_log_line, nullptr);
  }();
  return *environment;
}

Error load_error(const std::string& prefix, OrtErrorCode code, std::string_view message) {
  Code ours = Code::kInvalidArgument;
  if (is_out_of_memory(message)) ours = Code::kResourceExhausted;
  if (code == ORT_EP_FAIL) ours = Code::kFailedPrecondition;
  return Error(ours, fmt::format("{}: {}", prefix, trimmed(message)));
}

// On the CPU an operator fails because of the values or shapes it was given: that is the caller's
// mistake.
Error run_error(const std::string& prefix, OrtErrorCode code, std::string_view message) {
  Code ours = Code::kInvalidArgument;
  if (code == ORT_EP_FAIL || code == ORT_ENGINE_ERROR) ours = Code::kInternal;
  if (code == ORT_NOT_IMPLEMENTED) ours = Code::kUnimplemented;
  if (is_out_of_memory(message)) ours = Code::kResourceExhausted;
  return Error(ours, fmt::format("{}: {}", prefix, trimmed(message)));
}

}  // namespace baozi::engine
