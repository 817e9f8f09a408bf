#include "baozi/pipeline/steps/image_decode.h"

#include <fmt/format.h>
#include <spng.h>
#include <turbojpeg.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/pipeline/steps/exif.h"
#include "baozi/pipeline/steps/pictures.h"

namespace baozi::pipeline {
namespace {

using File = std::span<const std::byte>;

const unsigned char* bytes_of(File file) {
  return reinterpret_cast<const unsigned char*>(file.data());
}

[[noreturn]] void reject(ImageFormat format, std::string_view reason) {
  throw Error(Code::kInvalidArgument,
              fmt::format("the {} image cannot be decoded: {}", image_format_name(format), reason));
}

void check_pixels(ImageFormat format, std::int64_t width, std::int64_t height,
                  const DecodeLimits& limits) {
  if (width < 1 || height < 1)
    reject(format, fmt::format("its header says {} × {} pixels", width, height));
  if (width > limits.pixels_max / height) {
    reject(format,
           fmt::format("its header says {} × {} = {} pixels, the limit is {}; send it smaller",
                       width, height, width * height, limits.pixels_max));
  }
}

std::uint8_t blend_with_white(unsigned value, unsigned alpha) {
  return static_cast<std::uint8_t>((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

void rgba_to_rgb(const std::uint8_t* rgba, std::uint8_t* rgb, std::size_t pixels) {
  for (std::size_t i = 0; i < pixels; ++i, rgba += 4, rgb += 3) {
    for (int c = 0; c < 3; ++c) rgb[c] = blend_with_white(rgba[c], rgba[3]);
  }
}

std::size_t pixel_count(Size size) {
  return static_cast<std::size_t>(size.height) * static_cast<std::size_t>(size.width);
}

// ---- JPEG

struct TurboJpeg {
  struct Close {
    void operator()(void* opened) const { tjDestroy(opened); }
  };
  std::unique_ptr<void, Close> handle{tjInitDecompress()};
  Size size;
  int colour_space = TJCS_YCbCr;

  explicit TurboJpeg(File file) {
    if (!handle) throw Error(Code::kResourceExhausted, "no memory for a JPEG decoder");
    int subsampling = 0;
    const auto length = static_cast<unsigned long>(file.size());
    // A warning of the header's (extra bytes between segments) is none of the pixels'.
    if (tjDecompressHeader3(handle.get(), bytes_of(file), length, &size.width, &size.height,
                            &subsampling, &colour_space) != 0 &&
        (tjGetErrorCode(handle.get()) == TJERR_FATAL || size.width < 1 || size.height < 1)) {
      reject(ImageFormat::kJpeg, tjGetErrorStr2(handle.get()));
    }
  }

  void decompress(File file, int format, Size scaled, unsigned char* out) {
    const int status =
        tjDecompress2(handle.get(), bytes_of(file), static_cast<unsigned long>(file.size()), out,
                      scaled.width, 0, scaled.height, format, TJFLAG_LIMITSCANS);
    if (status == 0) return;
    const std::string_view reason = tjGetErrorStr2(handle.get());
    // Cameras write padding between segments; every other warning means pixels were made up.
    const bool harmless = tjGetErrorCode(handle.get()) == TJERR_WARNING &&
                          reason.find("extraneous bytes before marker") != std::string_view::npos;
    if (!harmless) reject(ImageFormat::kJpeg, reason);
  }
};

Size scaled_size(Size full, int side_min) {
  if (side_min < 1) return full;
  for (const int denominator : {8, 4, 2}) {
    const tjscalingfactor factor{1, denominator};
    const Size scaled{TJSCALED(full.height, factor), TJSCALED(full.width, factor)};
    if (std::min(scaled.height, scaled.width) >= side_min) return scaled;
  }
  return full;
}

// Adobe's convention: the file holds 255 - ink.
void inverted_cmyk_to_rgb(const std::uint8_t* cmyk, std::uint8_t* rgb, std::size_t pixels) {
  for (std::size_t i = 0; i < pixels; ++i, cmyk += 4, rgb += 3) {
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<std::uint8_t>((cmyk[c] * cmyk[3] + 127) / 255);
  }
}

Image decode_jpeg(File file, const DecodeOptions& options, Allocator& allocator) {
  TurboJpeg jpeg(file);
  const Size scaled = scaled_size(jpeg.size, options.side_min);
  Image image = new_image(scaled, allocator);
  if (jpeg.colour_space == TJCS_CMYK || jpeg.colour_space == TJCS_YCCK) {
    std::vector<std::uint8_t> cmyk(pixel_count(scaled) * 4);
    jpeg.decompress(file, TJPF_CMYK, scaled, cmyk.data());
    inverted_cmyk_to_rgb(cmyk.data(), image.mutable_data(), pixel_count(scaled));
  } else {
    jpeg.decompress(file, TJPF_RGB, scaled, image.mutable_data());
  }
  return image;
}

// ---- PNG

struct Spng {
  struct Close {
    void operator()(spng_ctx* opened) const { spng_ctx_free(opened); }
  };
  std::unique_ptr<spng_ctx, Close> context{spng_ctx_new(0)};
  spng_ihdr header{};

  explicit Spng(File file) {
    if (!context) throw Error(Code::kResourceExhausted, "no memory for a PNG decoder");
    // Ancillary chunks (text, profiles) are compressed too, and nothing here needs large ones.
    constexpr std::size_t kChunkBytesMax = std::size_t{1} << 20;
    check(spng_set_chunk_limits(context.get(), kChunkBytesMax, 4 * kChunkBytesMax));
    check(spng_set_png_buffer(context.get(), file.data(), file.size()));
    check(spng_get_ihdr(context.get(), &header));
  }

  static void check(int status) {
    if (status != 0) reject(ImageFormat::kPng, spng_strerror(status));
  }

  int orientation() {
    spng_exif exif{};
    if (spng_get_exif(context.get(), &exif) != 0) return kOrientationUpright;
    return exif_orientation(std::as_bytes(std::span(exif.data, exif.length)));
  }
};

Image decode_png(File file, Allocator& allocator) {
  Spng png(file);
  Image image = new_image({static_cast<int>(png.header.height), static_cast<int>(png.header.width)},
                          allocator);
  spng_trns transparency{};
  const bool alpha = png.header.color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA ||
                     png.header.color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA ||
                     spng_get_trns(png.context.get(), &transparency) == 0;
  const std::size_t pixels = pixel_count(image.size());
  if (!alpha) {
    Spng::check(
        spng_decode_image(png.context.get(), image.mutable_data(), pixels * 3, SPNG_FMT_RGB8, 0));
    return image;
  }
  std::vector<std::uint8_t> rgba(pixels * 4);
  Spng::check(spng_decode_image(png.context.get(), rgba.data(), rgba.size(), SPNG_FMT_RGBA8,
                                SPNG_DECODE_TRNS));
  rgba_to_rgb(rgba.data(), image.mutable_data(), pixels);
  return image;
}

// ---- WebP

std::string_view webp_reason(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "it is truncated";
    case VP8_STATUS_OUT_OF_MEMORY:
      return "out of memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "it uses a feature that libwebp does not know";
    default:
      return "it is corrupt";
  }
}

WebPBitstreamFeatures webp_features(File file) {
  WebPBitstreamFeatures features{};
  const VP8StatusCode status = WebPGetFeatures(bytes_of(file), file.size(), &features);
  if (status != VP8_STATUS_OK) reject(ImageFormat::kWebp, webp_reason(status));
  if (features.has_animation != 0) reject(ImageFormat::kWebp, "it is an animation; send one frame");
  return features;
}

int webp_orientation(File file) {
  const WebPData data{bytes_of(file), file.size()};
  const std::unique_ptr<WebPDemuxer, void (*)(WebPDemuxer*)> demuxer(WebPDemux(&data),
                                                                     WebPDemuxDelete);
  WebPChunkIterator chunk{};
  if (!demuxer || WebPDemuxGetChunk(demuxer.get(), "EXIF", 1, &chunk) == 0)
    return kOrientationUpright;
  const int orientation =
      exif_orientation(std::as_bytes(std::span(chunk.chunk.bytes, chunk.chunk.size)));
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

void webp_into(File file, WEBP_CSP_MODE mode, std::uint8_t* out, std::size_t out_bytes,
               int stride) {
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0)
    throw Error(Code::kInternal, "libwebp's version is not the header's");
  config.output.colorspace = mode;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = out;
  config.output.u.RGBA.size = out_bytes;
  config.output.u.RGBA.stride = stride;
  const VP8StatusCode status = WebPDecode(bytes_of(file), file.size(), &config);
  WebPFreeDecBuffer(&config.output);
  if (status != VP8_STATUS_OK) reject(ImageFormat::kWebp, webp_reason(status));
}

Image decode_webp(File file, Allocator& allocator) {
  const WebPBitstreamFeatures features = webp_features(file);
  Image image = new_image({features.height, features.width}, allocator);
  const std::size_t pixels = pixel_count(image.size());
  if (features.has_alpha == 0) {
    webp_into(file, MODE_RGB, image.mutable_data(), pixels * 3, features.width * 3);
    return image;
  }
  std::vector<std::uint8_t> rgba(pixels * 4);
  webp_into(file, MODE_RGBA, rgba.data(), rgba.size(), features.width * 4);
  rgba_to_rgb(rgba.data(), image.mutable_data(), pixels);
  return image;
}

}  // namespace

std::string_view image_format_name(ImageFormat format) noexcept {
  switch (format) {
    case ImageFormat::kJpeg:
      return "JPEG";
    case ImageFormat::kPng:
      return "PNG";
    case ImageFormat::kWebp:
      return "WebP";
  }
  return "";
}

std::optional<ImageFormat> image_format(File file) noexcept {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.starts_with("\xff\xd8\xff")) return ImageFormat::kJpeg;
  if (text.starts_with("\x89PNG\r\n\x1a\n")) return ImageFormat::kPng;
  if (text.size() >= 12 && text.starts_with("RIFF") && text.substr(8, 4) == "WEBP")
    return ImageFormat::kWebp;
  return std::nullopt;
}

ImageHeader read_image_header(File file, const DecodeLimits& limits) {
  if (file.size() > limits.bytes_max) {
    throw Error(Code::kInvalidArgument,
                fmt::format("the image file has {} bytes, the limit is {}; send it smaller",
                            file.size(), limits.bytes_max));
  }
  const std::optional<ImageFormat> format = image_format(file);
  if (!format) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} bytes that are no JPEG, PNG or WebP image: none begins like this",
                            file.size()));
  }
  ImageHeader header{.format = *format, .stored = {}, .orientation = kOrientationUpright};
  const auto set_size = [&](std::int64_t width, std::int64_t height) {
    check_pixels(*format, width, height, limits);
    header.stored = {static_cast<int>(height), static_cast<int>(width)};
  };
  switch (*format) {
    case ImageFormat::kJpeg: {
      const TurboJpeg jpeg(file);
      set_size(jpeg.size.width, jpeg.size.height);
      header.orientation = jpeg_orientation(file);
      break;
    }
    case ImageFormat::kPng: {
      Spng png(file);
      set_size(png.header.width, png.header.height);
      header.orientation = png.orientation();
      break;
    }
    case ImageFormat::kWebp: {
      const WebPBitstreamFeatures features = webp_features(file);
      set_size(features.width, features.height);
      header.orientation = webp_orientation(file);
      break;
    }
  }
  return header;
}

Image decode_image(File file, const DecodeOptions& options, Allocator& allocator) {
  const ImageHeader header = read_image_header(file, options.limits);
  Image image;
  switch (header.format) {
    case ImageFormat::kJpeg:
      image = decode_jpeg(file, options, allocator);
      break;
    case ImageFormat::kPng:
      image = decode_png(file, allocator);
      break;
    case ImageFormat::kWebp:
      image = decode_webp(file, allocator);
      break;
  }
  return turn_upright(std::move(image), header.orientation, allocator);
}

Image turn_upright(Image image, int orientation, Allocator& allocator) {
  assert(orientation >= 1 && orientation <= 8);
  if (orientation == kOrientationUpright) return image;
  return pictures().turn_upright(image, orientation, allocator);
}

}  // namespace baozi::pipeline
