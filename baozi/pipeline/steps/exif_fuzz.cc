// Feeds bytes to the EXIF readers, as a bare block and as a JPEG file.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "baozi/pipeline/steps/exif.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  for (const int orientation :
       {baozi::pipeline::exif_orientation(bytes), baozi::pipeline::jpeg_orientation(bytes)}) {
    if (orientation < 1 || orientation > 8) std::abort();
  }
  return 0;
}
