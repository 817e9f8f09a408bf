// Decodes JPEG, PNG and WebP into RGB pixels, upright.
//
//   Image image = decode_image(body.span());
//   // a JPEG of 4000 × 3000 is decoded at 1/8: 500 × 375
//   Image small = decode_image(body.span(), {.side_min = 256});
//
// Thread safety: pure functions; they block for milliseconds and belong on the CPU pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "baozi/base/bytes.h"
#include "baozi/pipeline/steps/image.h"

namespace baozi::pipeline {

enum class ImageFormat : std::uint8_t { kJpeg, kPng, kWebp };
std::string_view image_format_name(ImageFormat format) noexcept;  // "JPEG", …

// By the file's first bytes; its name or content type is not asked. Empty for anything else.
std::optional<ImageFormat> image_format(std::span<const std::byte> file) noexcept;

// What a file may ask for; checked on its header, before any pixel is decoded.
struct DecodeLimits {
  std::int64_t pixels_max = std::int64_t{64} << 20;
  std::size_t bytes_max = std::size_t{64} << 20;  // of the file
};

struct DecodeOptions {
  DecodeLimits limits = {};
  // A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size (by its DCT, at a fraction of the cost) as
  // long as neither side falls below this. 0: always full size.
  int side_min = 0;
};

struct ImageHeader {
  ImageFormat format = ImageFormat::kJpeg;
  Size stored;          // as the file says, before it is turned upright
  int orientation = 1;  // EXIF's, 1 to 8
};

// Reads and checks the header alone. Throws as decode_image.
ImageHeader read_image_header(std::span<const std::byte> file, const DecodeLimits& limits = {});

// Every pixel format becomes 8-bit RGB: grey is repeated, palettes are looked up, 16 bits are cut
// to their upper 8, CMYK JPEGs are taken as Adobe writes them (inverted), transparent pixels are
// blended with white. Colour profiles are not applied. The EXIF orientation of all three formats
// is. Throws Error kInvalidArgument, with the format's name and the decoder's reason: not an image,
// truncated or corrupt, beyond the limits (with the pixels and the limit), an animation.
Image decode_image(std::span<const std::byte> file, const DecodeOptions& options = {},
                   Allocator& allocator = heap_allocator());

// The image as `orientation` (1 to 8) says it is to be seen; 1 returns it as it is.
Image turn_upright(Image image, int orientation, Allocator& allocator = heap_allocator());

}  // namespace baozi::pipeline
