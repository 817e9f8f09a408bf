// The one libllama of this process: set up on first use, its log, and where its kernels come from.
//
// Thread safety: all functions.
#pragma once

#include <string>
#include <string_view>

#include "baozi/engine/plugin.h"

namespace baozi::engine {

void set_llama_host(const EngineHost& host) noexcept;
void llama_log(int level, std::string_view text) noexcept;

// Loads the backends (kernels for this processor, and what GPU libraries there are) once. Errors:
// kFailedPrecondition when there is none for this processor.
void open_llama_library();

// Collects what libllama logs as an error on this thread, because its functions return no reason.
class LlamaErrors {
 public:
  LlamaErrors() noexcept;
  ~LlamaErrors();
  LlamaErrors(const LlamaErrors&) = delete;
  LlamaErrors& operator=(const LlamaErrors&) = delete;

  // The first line, which is the cause; empty: none.
  const std::string& first() const noexcept { return first_; }
  void add(std::string_view text);

 private:
  std::string first_;
  LlamaErrors* const outer_;
};

}  // namespace baozi::engine
