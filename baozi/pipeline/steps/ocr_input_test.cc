#include "baozi/pipeline/steps/ocr_input.h"

#include <gtest/gtest.h>

#include <vector>

#include "baozi/base/error.h"

namespace baozi::pipeline {
namespace {

Image filled(Size size, std::uint8_t r, std::uint8_t g, std::uint8_t b) {
  Image image = new_image(size);
  for (std::size_t i = 0; i < image.pixels.data().size(); i += 3) {
    image.mutable_data()[i] = r, image.mutable_data()[i + 1] = g, image.mutable_data()[i + 2] = b;
  }
  return image;
}

TEST(DetectorInput, ShorterSideGrowsTo736InMultiplesOf32) {
  EXPECT_EQ(detector_size({480, 640}), (Size{736, 992}));   // rapidocr: 480 → 736, 640 → 981 → 992
  EXPECT_EQ(detector_size({1000, 800}), (Size{992, 800}));  // large enough: only rounded
  EXPECT_EQ(detector_size({4000, 3000}), (Size{1984, 1504}));
  EXPECT_EQ(detector_size({1, 1}), (Size{736, 736}));
  EXPECT_EQ(detector_size({10, 10}, {.side = 0}), (Size{32, 32}));
}

TEST(DetectorInput, StripsStayWithinThePixelLimit) {
  const Size size = detector_size({2, 2000});
  EXPECT_LE(std::int64_t{size.height} * size.width, 4'400'000 + 32 * 100'000);
  EXPECT_EQ(size.height % 32, 0);
}

TEST(DetectorInput, IsBlueFirstFromMinusOneToOne) {
  std::vector<float> out(3 * 32 * 64);
  detector_input(filled({10, 20}, 255, 51, 0), {32, 64}, out);
  EXPECT_NEAR(out[0], -1, 1e-6);
  EXPECT_NEAR(out[32 * 64 + 5], -0.6, 1e-6);
  EXPECT_NEAR(out[2 * 32 * 64 + 9], 1, 1e-6);
  EXPECT_THROW(detector_input(filled({10, 20}, 0, 0, 0), {32, 32}, out), Error);
}

TEST(DetectorInput, ThinImagesGetBlackMargins) {
  EXPECT_EQ(detector_padding({100, 200}), 0);
  EXPECT_EQ(detector_padding({30, 100}), 15);  // to twice 30 rows
  EXPECT_EQ(detector_padding({50, 800}), 75);  // to twice 800 / 8 rows
  const Image padded = pad_rows(filled({2, 3}, 9, 9, 9), 4);
  ASSERT_EQ(padded.size(), (Size{10, 3}));
  EXPECT_EQ(padded.data()[3 * 3 * 4 - 1], 0);
  EXPECT_EQ(padded.data()[3 * 3 * 4], 9);
  EXPECT_EQ(padded.data()[3 * 3 * 6], 0);
}

TEST(RecogniserInput, WidthsGoInBuckets) {
  EXPECT_EQ(recogniser_width({48, 100}), 100);
  EXPECT_EQ(recogniser_width({32, 101}), 152);  // 151.5, up
  EXPECT_EQ(recogniser_bucket({48, 100}), 320);
  EXPECT_EQ(recogniser_bucket({48, 320}), 320);
  EXPECT_EQ(recogniser_bucket({48, 321}), 384);
  EXPECT_EQ(recogniser_bucket({1, 1'000'000}), 4096);
}

TEST(RecogniserInput, IsPaddedOnTheRight) {
  std::vector<float> out(3 * 48 * 320, -9);
  recogniser_input(filled({24, 50}, 255, 255, 255), 320, out);
  for (const std::size_t row : {0, 47, 100, 143}) {
    EXPECT_NEAR(out[row * 320 + 99], 1, 1e-6);
    EXPECT_EQ(out[row * 320 + 100], 0);
    EXPECT_EQ(out[row * 320 + 319], 0);
  }
}

TEST(ClassifierInput, WideCropsAreSqueezed) {
  std::vector<float> out(3 * 48 * 192, -9);
  classifier_input(filled({10, 1000}, 0, 0, 0), out);
  for (const float value : out) ASSERT_NEAR(value, -1, 1e-6);
}

}  // namespace
}  // namespace baozi::pipeline
