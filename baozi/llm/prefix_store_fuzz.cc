// Bytes as a file of KV memory: it is found and read, or not used; nothing else happens.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "baozi/llm/prefix_store.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using baozi::llm::PrefixStore;
  static const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("baozi-prefix-fuzz-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "0000000000000000.kv", std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  const PrefixStore store(folder, "key", 1 << 20);
  for (const PrefixStore::Branch& branch : store.branches()) {
    const auto bytes = store.read(branch);
    if (bytes && bytes->view().size() >= size) std::abort();
  }
  std::filesystem::remove_all(folder);
  return 0;
}
