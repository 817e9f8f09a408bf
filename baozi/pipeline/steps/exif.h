// The orientation tag of EXIF metadata (CIPA DC-008, tag 0x0112), read defensively: metadata is
// never trusted, and a damaged block means "no orientation", as viewers do.
//
// Thread safety: pure functions.
#pragma once

#include <cstddef>
#include <span>

namespace baozi::pipeline {

// Where row 0 and column 0 of the stored pixels are to be seen. 1 is upright.
constexpr int kOrientationUpright = 1;

// The orientation (1 to 8) of a TIFF block, with or without the "Exif\0\0" that JPEG and some WebP
// files put before it. 1 when it is absent or malformed.
int exif_orientation(std::span<const std::byte> block) noexcept;

// The orientation of a JPEG file: its first APP1 segment with EXIF. 1 when there is none.
int jpeg_orientation(std::span<const std::byte> file) noexcept;

}  // namespace baozi::pipeline
