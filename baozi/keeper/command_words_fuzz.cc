// Commands as words: whatever is split has no empty word, and is split again as the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/keeper/command.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baozi;
  try {
    const std::vector<std::string> words =
        keeper::split_command({reinterpret_cast<const char*>(data), size});
    std::string text;
    for (const std::string& word : words) {
      if (word.empty()) std::abort();
      text += word + " ";
    }
    if (keeper::split_command(text) != words) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
