#include "baozi/pipeline/steps/image_resize.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "baozi/base/error.h"
#include "baozi/pipeline/steps/image_fixtures.h"
#include "baozi/pipeline/steps/image_normalise.h"

namespace baozi::pipeline {
namespace {

Image filled(Size size, std::uint8_t value) {
  Image image = new_image(size);
  std::fill_n(image.mutable_data(), image.pixels.data().size(), value);
  return image;
}

int at(const Image& image, int x, int y, int c) {
  return image.data()[3 * (y * image.width() + x) + c];
}

// Columns alternate between black and white.
Image stripes(Size size) {
  Image image = filled(size, 0);
  for (int y = 0; y < size.height; ++y) {
    for (int x = 1; x < size.width; x += 2)
      std::fill_n(image.mutable_data() + 3 * (y * size.width + x), 3, 255);
  }
  return image;
}

TEST(Resize, SmoothAveragesWhatLinearAliases) {
  const Image image = stripes({64, 64});
  const Image smooth = resize(image, {16, 16}, Interpolation::kSmooth);
  for (int x = 0; x < 16; ++x) EXPECT_NEAR(at(smooth, x, 8, 0), 128, 1);
  EXPECT_EQ(resize(image, {16, 16}, Interpolation::kLinear).size(), (Size{16, 16}));
}

TEST(Resize, KeepsAGradientInEveryInterpolation) {
  const Image image = fixtures::gradient({60, 80});
  for (const Interpolation interpolation :
       {Interpolation::kLinear, Interpolation::kCubic, Interpolation::kSmooth}) {
    for (const Size size : {Size{30, 40}, Size{120, 160}}) {
      const Image expected = fixtures::gradient(size), resized = resize(image, size, interpolation);
      for (int y = 2; y < size.height - 2; ++y) {
        for (int x = 2; x < size.width - 2; ++x) {
          for (int c = 0; c < 3; ++c) ASSERT_NEAR(at(resized, x, y, c), at(expected, x, y, c), 5);
        }
      }
    }
  }
}

TEST(Resize, RefusesEmptySizes) {
  EXPECT_THROW(resize(filled({4, 4}, 0), {0, 4}, Interpolation::kLinear), Error);
}

TEST(Crop, TakesTheRectangle) {
  const Image image = fixtures::gradient({20, 30});
  const Image part = crop(image, {.x = 5, .y = 7, .width = 11, .height = 3});
  EXPECT_EQ(part.size(), (Size{3, 11}));
  EXPECT_EQ(at(part, 0, 0, 0), at(image, 5, 7, 0));
  EXPECT_EQ(at(part, 10, 2, 1), at(image, 15, 9, 1));
  for (const Rect outside : {Rect{-1, 0, 2, 2}, Rect{0, 19, 1, 2}, Rect{29, 0, 2, 1},
                             Rect{0, 0, 0, 1}, Rect{1 << 30, 0, 1 << 30, 1}}) {
    EXPECT_THROW(crop(image, outside), Error);
  }
}

TEST(Crop, CentreSquareIsAFractionOfTheShorterSide) {
  EXPECT_EQ(centre_square({100, 200}, 1.0), (Rect{50, 0, 100, 100}));
  EXPECT_EQ(centre_square({200, 100}, 0.875), (Rect{6, 56, 88, 88}));
  EXPECT_EQ(centre_square({1, 1}, 0.1), (Rect{0, 0, 1, 1}));
}

TEST(Crop, ResizeCropIsCropThenResize) {
  const Image image = fixtures::gradient({40, 60});
  const Rect rect = centre_square(image.size(), 0.875);
  const Image once = resize_crop(image, rect, {16, 16}, Interpolation::kSmooth);
  const Image twice = resize(crop(image, rect), {16, 16}, Interpolation::kSmooth);
  EXPECT_TRUE(std::equal(once.data(), once.data() + 16 * 16 * 3, twice.data()));
}

TEST(Letterbox, CentresAndFills) {
  const Letterbox boxed = letterbox(filled({50, 100}, 200), {64, 64}, 114, Interpolation::kLinear);
  EXPECT_EQ(boxed.image.size(), (Size{64, 64}));
  EXPECT_DOUBLE_EQ(boxed.scale, 0.64);
  EXPECT_EQ(boxed.left, 0);
  EXPECT_EQ(boxed.top, 16);
  EXPECT_EQ(at(boxed.image, 32, 15, 0), 114);
  EXPECT_EQ(at(boxed.image, 32, 16, 0), 200);
  EXPECT_EQ(at(boxed.image, 63, 47, 2), 200);
  EXPECT_EQ(at(boxed.image, 0, 48, 1), 114);
}

TEST(Letterbox, ExtremeRatiosKeepAPixel) {
  EXPECT_EQ(letterbox(filled({1, 1000}, 9), {32, 32}, 0, Interpolation::kLinear).image.size(),
            (Size{32, 32}));
}

TEST(Normalise, WritesPlanesInEitherOrder) {
  const Image image = fixtures::gradient({70, 130});
  const std::size_t plane = 70 * 130;
  const std::array<float, 3> mean{100, 110, 120}, std{10, 20, 30};
  for (const ChannelOrder order : {ChannelOrder::kRgb, ChannelOrder::kBgr}) {
    std::vector<float> out(3 * plane, -1e9f);
    normalise(image, {.mean = mean, .std = std, .order = order}, out);
    for (std::size_t i = 0; i < plane; ++i) {
      for (std::size_t c = 0; c < 3; ++c) {
        const float pixel = image.data()[3 * i + (order == ChannelOrder::kRgb ? c : 2 - c)];
        ASSERT_NEAR(out[c * plane + i], (pixel - mean[c]) / std[c], 1e-5f);
      }
    }
  }
}

TEST(Normalise, PadsRowsWithZeros) {
  const Image image = filled({3, 5}, 255);
  std::vector<float> out(3 * 3 * 8, -1e9f);
  normalise(image, {}, out, 8);
  for (std::size_t i = 0; i < out.size(); ++i)
    EXPECT_FLOAT_EQ(out[i], i % 8 < 5 ? 1.0f : 0.0f) << i;
}

TEST(Normalise, RefusesMemoryOfAnotherSize) {
  std::vector<float> out(3 * 4 * 4 - 1);
  EXPECT_THROW(normalise(filled({4, 4}, 0), {}, out), Error);
  std::vector<float> narrow(3 * 4 * 3);
  EXPECT_THROW(normalise(filled({4, 4}, 0), {}, narrow, 3), Error);
}

}  // namespace
}  // namespace baozi::pipeline
