#include "baozi/pipeline/steps/image_decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "baozi/base/error.h"
#include "baozi/pipeline/steps/exif.h"
#include "baozi/pipeline/steps/image_fixtures.h"

namespace baozi::pipeline {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

Image decode(const std::string& file, const DecodeOptions& options = {}) {
  return decode_image(bytes_of(file), options);
}

std::string rejection(const std::string& file, const DecodeOptions& options = {}) {
  try {
    decode(file, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    return error.message();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

std::vector<int> pixel(const Image& image, int x, int y) {
  const std::uint8_t* at = image.data() + 3 * (y * image.width() + x);
  return {at[0], at[1], at[2]};
}

int largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.size(), b.size());
  int largest = 0;
  for (std::size_t i = 0; i < a.pixels.data().size(); ++i) {
    largest = std::max(largest, std::abs(a.data()[i] - b.data()[i]));
  }
  return largest;
}

// The picture as it is to be seen when `stored` has this orientation: EXIF 2.32, table of tag 274,
// spelled out.
Image seen(const Image& stored, int orientation) {
  const int h = stored.height(), w = stored.width();
  Image upright = new_image(orientation >= 5 ? Size{w, h} : Size{h, w});
  for (int row = 0; row < h; ++row) {
    for (int column = 0; column < w; ++column) {
      int y = 0, x = 0;
      switch (orientation) {
        case 1:
          y = row, x = column;
          break;  // row 0 top, column 0 left
        case 2:
          y = row, x = w - 1 - column;
          break;  // top, right
        case 3:
          y = h - 1 - row, x = w - 1 - column;
          break;  // bottom, right
        case 4:
          y = h - 1 - row, x = column;
          break;  // bottom, left
        case 5:
          x = row, y = column;
          break;  // row 0 left, column 0 top
        case 6:
          x = h - 1 - row, y = column;
          break;  // right, top
        case 7:
          x = h - 1 - row, y = w - 1 - column;
          break;  // right, bottom
        case 8:
          x = row, y = w - 1 - column;
          break;  // left, bottom
      }
      for (int c = 0; c < 3; ++c) {
        upright.mutable_data()[3 * (y * upright.width() + x) + c] =
            stored.data()[3 * (row * w + column) + c];
      }
    }
  }
  return upright;
}

class EveryOrientation : public testing::TestWithParam<int> {};

TEST_P(EveryOrientation, TurnsLikeTheExifTable) {
  const Image stored = fixtures::gradient({5, 7});
  EXPECT_EQ(largest_difference(turn_upright(stored, GetParam()), seen(stored, GetParam())), 0);
}

TEST_P(EveryOrientation, IsAppliedInAllThreeFormats) {
  const Image stored = fixtures::gradient({24, 40});
  const Image expected = seen(stored, GetParam());
  for (const bool little_endian : {false, true}) {
    const std::string block = fixtures::tiff(GetParam(), little_endian);
    EXPECT_LE(largest_difference(decode(fixtures::jpeg_with_exif(fixtures::jpeg(stored), block)),
                                 expected),
              8);
    EXPECT_EQ(largest_difference(decode(fixtures::webp_with_exif(stored, block)), expected), 0);
    const std::string png =
        fixtures::png({stored.data(), stored.pixels.data().size()}, stored.size(),
                      SPNG_COLOR_TYPE_TRUECOLOR, 8, {.exif = block});
    EXPECT_EQ(largest_difference(decode(png), expected), 0);
  }
}
INSTANTIATE_TEST_SUITE_P(Exif, EveryOrientation, testing::Range(1, 9));

TEST(Exif, DamagedBlocksMeanUpright) {
  const std::string good = fixtures::tiff(6);
  ASSERT_EQ(exif_orientation(bytes_of(good)), 6);
  ASSERT_EQ(exif_orientation(bytes_of(std::string("Exif\0\0", 6) + good)), 6);
  for (std::size_t length = 0; length < 20; ++length) {
    EXPECT_EQ(exif_orientation(bytes_of(good.substr(0, length))), 1) << length;
  }
  for (const int value : {0, 9, 255})
    EXPECT_EQ(exif_orientation(bytes_of(fixtures::tiff(value))), 1);
  const auto changed = [&](std::size_t at, char value) {
    std::string block = good;
    block[at] = value;
    return exif_orientation(bytes_of(block));
  };
  EXPECT_EQ(changed(0, 'X'), 1);     // no byte order
  EXPECT_EQ(changed(3, 43), 1);      // no TIFF
  EXPECT_EQ(changed(4, '\xff'), 1);  // the directory is out of bounds
  EXPECT_EQ(changed(13, 4), 1);      // LONG, not SHORT
  EXPECT_EQ(changed(17, 2), 1);      // two values
  EXPECT_EQ(changed(11, 0x13), 1);   // another tag
  EXPECT_EQ(changed(8, '\xff'), 6);  // claims more entries than there are; the first is good
}

TEST(Exif, JpegSegmentsAreWalkedWithinTheFile) {
  const std::string file = fixtures::jpeg(fixtures::gradient({8, 8}));
  const std::string turned = fixtures::jpeg_with_exif(file, fixtures::tiff(8));
  EXPECT_EQ(jpeg_orientation(bytes_of(file)), 1);
  EXPECT_EQ(jpeg_orientation(bytes_of(turned)), 8);
  EXPECT_EQ(jpeg_orientation(bytes_of(turned.substr(0, 20))), 1);
  EXPECT_EQ(jpeg_orientation({}), 1);
  std::string filled = turned;
  filled.insert(2, "\xff\xff\xff");  // fill bytes before a marker are allowed
  EXPECT_EQ(jpeg_orientation(bytes_of(filled)), 8);
}

TEST(ImageDecode, RecognisesFormatsByTheirFirstBytes) {
  const Image image = fixtures::gradient({4, 4});
  EXPECT_EQ(image_format(bytes_of(fixtures::jpeg(image))), ImageFormat::kJpeg);
  EXPECT_EQ(image_format(bytes_of(fixtures::png(image))), ImageFormat::kPng);
  EXPECT_EQ(image_format(bytes_of(fixtures::webp(image))), ImageFormat::kWebp);
  EXPECT_EQ(image_format(bytes_of("GIF89a")), std::nullopt);
  EXPECT_THAT(rejection("GIF89a"), HasSubstr("no JPEG, PNG or WebP"));
  EXPECT_THAT(rejection(""), HasSubstr("0 bytes"));
}

TEST(ImageDecode, RoundTripsEachFormat) {
  const Image image = fixtures::gradient({33, 47});
  EXPECT_LE(largest_difference(decode(fixtures::jpeg(image)), image), 8);
  EXPECT_EQ(largest_difference(decode(fixtures::png(image)), image), 0);
  EXPECT_EQ(largest_difference(decode(fixtures::webp(image)), image), 0);
}

TEST(ImageDecode, HeaderGivesSizeFormatAndOrientation) {
  const std::string file =
      fixtures::jpeg_with_exif(fixtures::jpeg(fixtures::gradient({20, 30})), fixtures::tiff(6));
  const ImageHeader header = read_image_header(bytes_of(file));
  EXPECT_EQ(header.format, ImageFormat::kJpeg);
  EXPECT_EQ(header.stored, (Size{20, 30}));
  EXPECT_EQ(header.orientation, 6);
}

TEST(ImageDecode, JpegIsDecodedSmallerWhenTheTargetIs) {
  const std::string file = fixtures::jpeg(fixtures::gradient({640, 960}));
  EXPECT_EQ(decode(file, {.side_min = 0}).size(), (Size{640, 960}));
  EXPECT_EQ(decode(file, {.side_min = 321}).size(), (Size{640, 960}));
  EXPECT_EQ(decode(file, {.side_min = 320}).size(), (Size{320, 480}));
  EXPECT_EQ(decode(file, {.side_min = 100}).size(), (Size{160, 240}));
  const Image small = decode(file, {.side_min = 32});
  EXPECT_LE(largest_difference(small, fixtures::gradient({80, 120})), 8);
}

TEST(ImageDecode, GreyJpegAndPngAreRepeated) {
  const std::vector<std::uint8_t> grey(64, 77);
  EXPECT_THAT(pixel(decode(fixtures::jpeg(grey.data(), {8, 8}, TJPF_GRAY, TJSAMP_GRAY)), 3, 3),
              ElementsAre(77, 77, 77));
  EXPECT_THAT(pixel(decode(fixtures::png(grey, {8, 8}, SPNG_COLOR_TYPE_GRAYSCALE)), 3, 3),
              ElementsAre(77, 77, 77));
}

TEST(ImageDecode, CmykJpegIsTakenAsAdobeWritesIt) {
  std::vector<std::uint8_t> inverted_ink;
  for (int i = 0; i < 64; ++i) inverted_ink.insert(inverted_ink.end(), {255, 128, 0, 200});
  const auto rgb = pixel(decode(fixtures::jpeg(inverted_ink.data(), {8, 8}, TJPF_CMYK)), 4, 4);
  EXPECT_NEAR(rgb[0], 200, 3);
  EXPECT_NEAR(rgb[1], 100, 3);
  EXPECT_NEAR(rgb[2], 0, 3);
}

TEST(ImageDecode, TransparencyIsBlendedWithWhite) {
  const std::vector<std::uint8_t> rgba{10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 200, 51};
  const Image image = decode(fixtures::png(rgba, {1, 3}, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA));
  EXPECT_THAT(pixel(image, 0, 0), ElementsAre(10, 20, 30));
  EXPECT_THAT(pixel(image, 1, 0), ElementsAre(255, 255, 255));
  EXPECT_THAT(pixel(image, 2, 0), ElementsAre(204, 224, 244));

  std::uint8_t* bytes = nullptr;
  const std::size_t length = WebPEncodeLosslessRGBA(rgba.data(), 3, 1, 12, &bytes);
  const Image webp = decode(std::string(reinterpret_cast<const char*>(bytes), length));
  WebPFree(bytes);
  EXPECT_THAT(pixel(webp, 0, 0), ElementsAre(10, 20, 30));
  EXPECT_THAT(pixel(webp, 1, 0), ElementsAre(255, 255, 255));
  EXPECT_THAT(pixel(webp, 2, 0), ElementsAre(204, 224, 244));

  const std::vector<std::uint8_t> grey_alpha{0, 255, 0, 0};
  const Image grey = decode(fixtures::png(grey_alpha, {1, 2}, SPNG_COLOR_TYPE_GRAYSCALE_ALPHA));
  EXPECT_THAT(pixel(grey, 0, 0), ElementsAre(0, 0, 0));
  EXPECT_THAT(pixel(grey, 1, 0), ElementsAre(255, 255, 255));
}

TEST(ImageDecode, PalettesAreLookedUp) {
  const fixtures::PngExtras extras{.palette = {{1, 2, 3, 0}, {40, 50, 60, 0}}};
  const Image image = decode(
      fixtures::png(std::vector<std::uint8_t>{0, 1}, {1, 2}, SPNG_COLOR_TYPE_INDEXED, 8, extras));
  EXPECT_THAT(pixel(image, 0, 0), ElementsAre(1, 2, 3));
  EXPECT_THAT(pixel(image, 1, 0), ElementsAre(40, 50, 60));
  fixtures::PngExtras transparent = extras;
  transparent.palette_alpha = {0};
  const std::string bits = fixtures::png(std::vector<std::uint8_t>{0x40}, {1, 2},
                                         SPNG_COLOR_TYPE_INDEXED, 1, transparent);
  EXPECT_THAT(pixel(decode(bits), 0, 0), ElementsAre(255, 255, 255));
  EXPECT_THAT(pixel(decode(bits), 1, 0), ElementsAre(40, 50, 60));
}

TEST(ImageDecode, SixteenBitsAreCutToTheUpperEight) {
  const std::vector<std::uint16_t> samples{0x12ff, 0x8000, 0xffff};
  const std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(samples.data()),
                                            6);
  EXPECT_THAT(pixel(decode(fixtures::png(bytes, {1, 1}, SPNG_COLOR_TYPE_TRUECOLOR, 16)), 0, 0),
              ElementsAre(0x12, 0x80, 0xff));
}

TEST(ImageDecode, TruncatedFilesAreRejectedInEveryFormat) {
  const Image image = fixtures::gradient({64, 64});
  for (const std::string& file :
       {fixtures::jpeg(image), fixtures::png(image), fixtures::webp(image)}) {
    for (const std::size_t length :
         {file.size() - 20, file.size() / 2, std::size_t{30}, std::size_t{12}}) {
      EXPECT_THAT(rejection(file.substr(0, length)), HasSubstr("cannot be decoded: ")) << length;
    }
  }
}

TEST(ImageDecode, CorruptPixelsAreRejected) {
  const Image image = fixtures::gradient({64, 64});
  std::string png = fixtures::png(image);
  png[png.size() / 2] = static_cast<char>(png[png.size() / 2] ^ 0x55);
  EXPECT_THAT(rejection(png), HasSubstr("the PNG image cannot be decoded"));
  std::string jpeg = fixtures::jpeg(image);
  jpeg.replace(jpeg.size() / 2, 2, "\xff\xc4");  // a marker amid the pixels
  EXPECT_THAT(rejection(jpeg), HasSubstr("the JPEG image cannot be decoded"));
}

TEST(ImageDecode, BombsAreRefusedByTheirHeader) {
  const Image image = fixtures::gradient({100, 200});
  const DecodeOptions tight{.limits = {.pixels_max = 19'999}};
  for (const std::string& file :
       {fixtures::jpeg(image), fixtures::png(image), fixtures::webp(image)}) {
    EXPECT_THAT(rejection(file, tight),
                AllOf(HasSubstr("200 × 100 = 20000 pixels"), HasSubstr("19999")));
  }
  std::string huge = fixtures::png(image);
  huge.replace(16, 8, std::string("\0\0\x4e\x20\0\0\x4e\x20", 8));
  huge.replace(29, 4, "\x6c\x12\xd1\x6e");  // the header's checksum
  EXPECT_THAT(rejection(huge),
              HasSubstr("20000 × 20000 = 400000000 pixels, the limit is 67108864"));
  std::string jpeg = fixtures::jpeg(image);
  const std::size_t frame = jpeg.find("\xff\xc0");
  jpeg.replace(frame + 5, 4, "\xea\x60\xea\x60");
  EXPECT_THAT(rejection(jpeg),
              HasSubstr("60000 × 60000 = 3600000000 pixels, the limit is 67108864"));
}

TEST(ImageDecode, LargeFilesAreRefusedUnread) {
  EXPECT_THAT(rejection(std::string(11, 'x'), {.limits = {.bytes_max = 10}}),
              AllOf(HasSubstr("11 bytes"), HasSubstr("limit is 10")));
}

TEST(Image, OnlyRgbBytesAreAnImage) {
  EXPECT_EQ(image_of(Tensor::allocate(DType::kUint8, {4, 5, 3})).size(), (Size{4, 5}));
  EXPECT_THROW(image_of(Tensor::allocate(DType::kUint8, {4, 5, 4})), Error);
  EXPECT_THROW(image_of(Tensor::allocate(DType::kUint8, {0, 5, 3})), Error);
  EXPECT_THROW(image_of(Tensor::allocate(DType::kFp32, {4, 5, 3})), Error);
  EXPECT_THROW(new_image({0, 3}), Error);
}

}  // namespace
}  // namespace baozi::pipeline
