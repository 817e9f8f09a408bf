// Bytes as a GGUF file: reading its facts must give them or an Error, whatever the bytes say.
#include <cstdint>
#include <string_view>

#include "baozi/base/error.h"
#include "baozi/engine/llama/gguf_facts.h"
#include "baozi/engine/llama/llama_library.h"
#include "baozi/engine/scratch_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baozi;
  static const engine::ScratchFolder folder;
  static const bool opened = [] {
    engine::open_llama_library();
    return true;
  }();
  (void)opened;
  const std::filesystem::path file =
      folder.write("model.gguf", std::string_view(reinterpret_cast<const char*>(data), size));
  try {
    engine::LanguageOptions options;
    engine::read_gguf_facts(file, options);
  } catch (const Error&) {
  }
  return 0;
}
