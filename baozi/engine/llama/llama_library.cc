#include "baozi/engine/llama/llama_library.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <llama.h>

#include <atomic>
#include <filesystem>
#include <mutex>

#include "baozi/base/error.h"
#include "baozi/base/log.h"

namespace baozi::engine {
namespace {

std::atomic<const EngineHost*> host{nullptr};
thread_local LlamaErrors* tl_errors = nullptr;

// Errors are reported by whoever called; the rest is of interest to developers only.
void take_log_line(ggml_log_level level, const char* text, void*) {
  std::string_view line(text);
  while (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (line.empty()) return;
  if (level == GGML_LOG_LEVEL_ERROR && tl_errors != nullptr) tl_errors->add(line);
  // A warning about the nameless tokens that load_llama_model() asks for is none.
  const bool warning =
      level == GGML_LOG_LEVEL_WARN && line.find("dummy tokens") == std::string_view::npos;
  llama_log(warning ? spdlog::level::info : spdlog::level::debug,
            fmt::format("llama.cpp: {}", line));
}

// libllama's own folder holds the kernels.
std::filesystem::path library_folder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&llama_backend_init), &info) == 0) return {};
  return std::filesystem::path(info.dli_fname).parent_path();
}

}  // namespace

void set_llama_host(const EngineHost& given) noexcept { host.store(&given); }

void llama_log(int level, std::string_view text) noexcept {
  if (const EngineHost* known = host.load()) {
    known->log(level, text);
  } else {
    log().log(static_cast<spdlog::level::level_enum>(level), text);
  }
}

void open_llama_library() {
  static std::once_flag once;
  std::call_once(once, [] {
    llama_log_set(&take_log_line, nullptr);
    ggml_backend_load_all_from_path(library_folder().c_str());
    llama_backend_init();
  });
  if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) == nullptr) {
    throw Error(Code::kFailedPrecondition,
                fmt::format("llama.cpp has no kernels for this processor in {}",
                            library_folder().string()));
  }
}

LlamaErrors::LlamaErrors() noexcept : outer_(tl_errors) { tl_errors = this; }
LlamaErrors::~LlamaErrors() { tl_errors = outer_; }

void LlamaErrors::add(std::string_view text) {
  if (first_.empty()) first_ = text;
}

}  // namespace baozi::engine
