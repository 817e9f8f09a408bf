// For tests and benchmarks: pictures, encoded in memory by the libraries that the decoder uses.
#pragma once

#include <spng.h>
#include <turbojpeg.h>
#include <webp/encode.h>
#include <webp/mux_types.h>

#include <cstdint>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "baozi/pipeline/steps/image.h"

namespace baozi::pipeline::fixtures {

// Every pixel differs from its neighbours by a little: red along x, green along y, blue along both.
inline Image gradient(Size size) {
  Image image = new_image(size);
  std::uint8_t* at = image.mutable_data();
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      *at++ = static_cast<std::uint8_t>(255 * x / size.width);
      *at++ = static_cast<std::uint8_t>(255 * y / size.height);
      *at++ = static_cast<std::uint8_t>(255 * (x + y) / (size.width + size.height));
    }
  }
  return image;
}

inline std::string jpeg(const std::uint8_t* pixels, Size size, int pixel_format = TJPF_RGB,
                        int subsampling = TJSAMP_444, int flags = 0) {
  tjhandle handle = tjInitCompress();
  unsigned char* bytes = nullptr;
  unsigned long length = 0;
  const int status = tjCompress2(handle, pixels, size.width, 0, size.height, pixel_format, &bytes,
                                 &length, subsampling, 95, flags);
  if (status != 0) throw std::runtime_error(tjGetErrorStr2(handle));
  std::string file(reinterpret_cast<const char*>(bytes), length);
  tjFree(bytes);
  tjDestroy(handle);
  return file;
}

inline std::string jpeg(const Image& image) { return jpeg(image.data(), image.size()); }

struct PngExtras {
  std::vector<spng_plte_entry> palette = {};
  std::vector<std::uint8_t> palette_alpha = {};
  std::string exif = {};
};

inline std::string png(std::span<const std::uint8_t> samples, Size size, spng_color_type colour,
                       int bits = 8, const PngExtras& extras = {}) {
  spng_ctx* context = spng_ctx_new(SPNG_CTX_ENCODER);
  spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1);
  spng_ihdr header{};
  header.width = static_cast<std::uint32_t>(size.width);
  header.height = static_cast<std::uint32_t>(size.height);
  header.color_type = static_cast<std::uint8_t>(colour);
  header.bit_depth = static_cast<std::uint8_t>(bits);
  spng_set_ihdr(context, &header);
  if (!extras.palette.empty()) {
    spng_plte palette{};
    palette.n_entries = static_cast<std::uint32_t>(extras.palette.size());
    std::copy(extras.palette.begin(), extras.palette.end(), palette.entries);
    spng_set_plte(context, &palette);
  }
  if (!extras.palette_alpha.empty()) {
    spng_trns transparency{};
    transparency.n_type3_entries = static_cast<std::uint32_t>(extras.palette_alpha.size());
    std::copy(extras.palette_alpha.begin(), extras.palette_alpha.end(), transparency.type3_alpha);
    spng_set_trns(context, &transparency);
  }
  std::string exif = extras.exif;
  if (!exif.empty()) {
    spng_exif block{exif.size(), exif.data()};
    spng_set_exif(context, &block);
  }
  int status = spng_encode_image(context, samples.data(), samples.size(), SPNG_FMT_PNG,
                                 SPNG_ENCODE_FINALIZE);
  std::size_t length = 0;
  void* bytes = spng_get_png_buffer(context, &length, &status);
  if (bytes == nullptr) throw std::runtime_error(spng_strerror(status));
  std::string file(static_cast<const char*>(bytes), length);
  std::free(bytes);
  spng_ctx_free(context);
  return file;
}

inline std::string png(const Image& image) {
  return png({image.data(), image.pixels.data().size()}, image.size(), SPNG_COLOR_TYPE_TRUECOLOR);
}

inline std::string webp(const Image& image) {
  std::uint8_t* bytes = nullptr;
  const std::size_t length =
      WebPEncodeLosslessRGB(image.data(), image.width(), image.height(), image.width() * 3, &bytes);
  std::string file(reinterpret_cast<const char*>(bytes), length);
  WebPFree(bytes);
  return file;
}

// A TIFF block whose only entry is the orientation.
inline std::string tiff(int orientation, bool little_endian = false) {
  std::string block =
      little_endian
          ? std::string("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0?\0\0\0\0\0\0\0", 26)
          : std::string("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0?\0\0\0\0\0\0", 26);
  block[little_endian ? 18 : 19] = static_cast<char>(orientation);
  return block;
}

// `file` with an APP1 segment behind its SOI.
inline std::string jpeg_with_exif(const std::string& file, const std::string& block) {
  const std::string payload = std::string("Exif\0\0", 6) + block;
  const std::size_t length = payload.size() + 2;
  std::string segment{'\xff', '\xe1', static_cast<char>(length >> 8),
                      static_cast<char>(length & 0xff)};
  return file.substr(0, 2) + segment + payload + file.substr(2);
}

inline std::string little_endian_32(std::size_t value) {
  std::string text;
  for (int shift = 0; shift < 32; shift += 8) text += static_cast<char>(value >> shift & 0xff);
  return text;
}

// A lossless WebP rewritten in the extended form, with an EXIF chunk.
inline std::string webp_with_exif(const Image& image, const std::string& block) {
  const std::string simple = webp(image).substr(12);  // its one chunk
  std::string extended = std::string("VP8X") + little_endian_32(10) + little_endian_32(EXIF_FLAG);
  extended += little_endian_32(static_cast<std::size_t>(image.width() - 1)).substr(0, 3);
  extended += little_endian_32(static_cast<std::size_t>(image.height() - 1)).substr(0, 3);
  const std::string exif =
      "EXIF" + little_endian_32(block.size()) + block + (block.size() % 2 == 1 ? "\0" : "");
  const std::string body = "WEBP" + extended + simple + exif;
  return "RIFF" + little_endian_32(body.size()) + body;
}

}  // namespace baozi::pipeline::fixtures
