// Records of warmth: what parses is written, and read again as the same to the digits written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "baozi/base/error.h"
#include "baozi/fleet/warmth_report.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baozi;
  try {
    const fleet::Warmth read = fleet::parse_warmth({reinterpret_cast<const char*>(data), size});
    const std::string text = fleet::format_warmth(read);
    if (fleet::format_warmth(fleet::parse_warmth(text)) != text) std::abort();
  } catch (const Error& error) {
    if (error.code() != Code::kInvalidArgument) std::abort();
  }
  return 0;
}
