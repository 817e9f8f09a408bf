// Bytes in two pieces as a stream of text: what comes out is valid UTF-8, and the same wherever the
// pieces are cut.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "baozi/llm/utf8_stream.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using baozi::llm::Utf8Stream;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto cut_at = [&](std::size_t at) {
    Utf8Stream stream;
    std::string text = stream.add(bytes.substr(0, at));
    text += stream.add(bytes.substr(at));
    return text + stream.finish();
  };
  const std::string whole = cut_at(size);
  if (cut_at(size / 2) != whole || cut_at(size / 3) != whole) std::abort();
  Utf8Stream again;  // valid text passes unchanged
  if (again.add(whole) != whole || !again.finish().empty()) std::abort();
  return 0;
}
