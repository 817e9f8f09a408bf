// Feeds bytes to the image decoder under small limits: an image or Error kInvalidArgument, nothing
// else.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "baozi/base/error.h"
#include "baozi/pipeline/steps/image_decode.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baozi;
  using namespace baozi::pipeline;
  constexpr std::int64_t kPixelsMax = 1 << 18;
  for (const int side_min : {0, 16}) {
    try {
      const Image image = decode_image(
          std::as_bytes(std::span(data, size)),
          {.limits = {.pixels_max = kPixelsMax, .bytes_max = 1 << 20}, .side_min = side_min});
      if (image.height() * image.width() > kPixelsMax) std::abort();
    } catch (const Error& error) {
      if (error.code() != Code::kInvalidArgument) std::abort();
    }
  }
  return 0;
}
