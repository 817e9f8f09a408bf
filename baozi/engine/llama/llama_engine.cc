#include "baozi/engine/llama/llama_engine.h"

#include <fmt/format.h>
#include <llama.h>

#include <cstdint>
#include <system_error>

#include "baozi/base/error.h"
#include "baozi/engine/llama/gguf_facts.h"
#include "baozi/engine/llama/llama_library.h"
#include "baozi/engine/llama/llama_model.h"
#include "baozi/engine/plugin.h"

namespace baozi::engine {
namespace {

std::string megabytes(std::size_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

void check_memory(const std::filesystem::path& file, const LanguageMemory& memory,
                  const LanguageOptions& options) {
  const std::size_t limit = options.memory_bytes_max;
  if (limit == 0 || memory.total() <= limit) return;
  const std::size_t fixed = memory.weights + memory.compute;
  const std::string fits =
      fixed < limit && memory.kv > 0
          ? fmt::format("a context of {} would fit",
                        static_cast<std::size_t>(options.context) * (limit - fixed) / memory.kv)
          : "its weights alone do not fit";
  throw Error(Code::kResourceExhausted,
              fmt::format("{}: it takes about {} ({} weights, {} KV memory for {} tokens, {} to "
                          "compute), above memory_bytes_max of {}; {}",
                          file.string(), megabytes(memory.total()), megabytes(memory.weights),
                          megabytes(memory.kv), options.context, megabytes(memory.compute),
                          megabytes(limit), fits));
}

}  // namespace

LlamaEngine::LlamaEngine() { open_llama_library(); }

std::string LlamaEngine::version() const { return llama_version(); }

bool LlamaEngine::accepts(const std::filesystem::path& file) const {
  return file.extension() == ".gguf";
}

std::shared_ptr<Model> LlamaEngine::load(const std::filesystem::path& file, const ModelOptions&,
                                         StopToken) {
  throw Error(Code::kUnimplemented,
              fmt::format("{} is a language model, not one of tensors", file.string()));
}

std::shared_ptr<LanguageModel> LlamaEngine::load_language(const std::filesystem::path& file,
                                                          const LanguageOptions& options,
                                                          StopToken stop) {
  throw_if_stopped(stop);
  LanguageOptions wanted = options;
  LanguageFacts facts = read_gguf_facts(file, wanted);
  for (const LanguageAdapter& adapter : wanted.adapters) {
    std::error_code missing;  // is told when it is loaded
    const std::uintmax_t size = std::filesystem::file_size(adapter.file, missing);
    if (!missing) facts.memory.weights += size;
  }
  check_memory(file, facts.memory, wanted);
  return load_llama_model(file, facts, wanted, stop);
}

}  // namespace baozi::engine

// The two functions of plugin.h.
BAOZI_ENGINE_EXPORT std::uint32_t baozi_engine_abi() { return baozi::engine::kEngineAbi; }

BAOZI_ENGINE_EXPORT baozi::engine::Engine* baozi_engine_create(
    const baozi::engine::EngineHost& host) {
  baozi::engine::set_llama_host(host);
  return new baozi::engine::LlamaEngine;
}
