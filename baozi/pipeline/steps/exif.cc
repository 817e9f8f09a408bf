#include "baozi/pipeline/steps/exif.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

namespace baozi::pipeline {
namespace {

constexpr std::uint16_t kOrientationTag = 0x0112;
constexpr std::uint16_t kTypeShort = 3;
constexpr std::size_t kEntryBytes = 12;
constexpr std::array<char, 6> kExifPrefix{'E', 'x', 'i', 'f', '\0', '\0'};

// Integers of either byte order, with every read checked against the end.
class TiffReader {
 public:
  TiffReader(std::span<const std::byte> block, bool little_endian) noexcept
      : block_(block), little_endian_(little_endian) {}

  std::optional<std::uint16_t> u16(std::size_t at) const noexcept {
    if (at > block_.size() || block_.size() - at < 2) return std::nullopt;
    const unsigned first = byte(at), second = byte(at + 1);
    return static_cast<std::uint16_t>(little_endian_ ? (second << 8 | first)
                                                     : (first << 8 | second));
  }
  std::optional<std::uint32_t> u32(std::size_t at) const noexcept {
    const auto first = u16(at), second = u16(at + 2);
    if (!first || !second) return std::nullopt;
    const std::uint32_t a = *first, b = *second;
    return little_endian_ ? (b << 16 | a) : (a << 16 | b);
  }

 private:
  unsigned byte(std::size_t at) const noexcept { return std::to_integer<unsigned>(block_[at]); }

  std::span<const std::byte> block_;
  bool little_endian_;
};

bool starts_with_exif(std::span<const std::byte> bytes) noexcept {
  return bytes.size() >= kExifPrefix.size() &&
         std::memcmp(bytes.data(), kExifPrefix.data(), kExifPrefix.size()) == 0;
}

}  // namespace

int exif_orientation(std::span<const std::byte> block) noexcept {
  if (starts_with_exif(block)) block = block.subspan(kExifPrefix.size());
  if (block.size() < 8) return kOrientationUpright;
  const bool little_endian = block[0] == std::byte{'I'} && block[1] == std::byte{'I'};
  const bool big_endian = block[0] == std::byte{'M'} && block[1] == std::byte{'M'};
  if (!little_endian && !big_endian) return kOrientationUpright;
  const TiffReader tiff(block, little_endian);
  const auto directory = tiff.u32(4);
  if (tiff.u16(2) != 42 || !directory) return kOrientationUpright;
  const auto entries = tiff.u16(*directory);
  if (!entries) return kOrientationUpright;
  for (std::size_t i = 0; i < *entries; ++i) {
    const std::size_t at = std::size_t{*directory} + 2 + i * kEntryBytes;
    const auto tag = tiff.u16(at);
    if (!tag) return kOrientationUpright;
    if (*tag != kOrientationTag) continue;
    const auto value = tiff.u16(at + 8);  // a single SHORT stands in the entry itself
    if (tiff.u16(at + 2) != kTypeShort || tiff.u32(at + 4) != 1u || !value)
      return kOrientationUpright;
    return *value >= 1 && *value <= 8 ? *value : kOrientationUpright;
  }
  return kOrientationUpright;
}

int jpeg_orientation(std::span<const std::byte> file) noexcept {
  const TiffReader words(file, false);  // JPEG is big-endian
  std::size_t at = 2;                   // after SOI
  while (true) {
    while (at + 1 < file.size() && file[at] == std::byte{0xff} && file[at + 1] == std::byte{0xff})
      ++at;  // fill
    const auto marker = words.u16(at);
    const auto length = words.u16(at + 2);
    constexpr unsigned kApp1 = 0xffe1, kStartOfScan = 0xffda;
    if (!marker || !length || *marker < 0xff01 || *marker == kStartOfScan || *length < 2)
      return kOrientationUpright;
    const std::size_t payload = at + 4, payload_bytes = *length - std::size_t{2};
    if (payload > file.size() || file.size() - payload < payload_bytes) return kOrientationUpright;
    const auto segment = file.subspan(payload, payload_bytes);
    if (*marker == kApp1 && starts_with_exif(segment)) return exif_orientation(segment);
    at = payload + payload_bytes;
  }
}

}  // namespace baozi::pipeline
