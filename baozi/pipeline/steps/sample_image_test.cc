#include "baozi/pipeline/steps/sample_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>

#include "baozi/base/error.h"
#include "baozi/pipeline/steps/image_decode.h"

namespace baozi::pipeline {
namespace {

TEST(SampleImage, IsAPageWithDarkText) {
  const Bytes file = sample_image({480, 640});
  const Image page = decode_image(file.span());
  EXPECT_EQ(page.size(), (Size{480, 640}));
  const std::span<const std::uint8_t> pixels(page.data(), 3 * 480 * 640);
  const auto dark = std::ranges::count_if(pixels, [](std::uint8_t value) { return value < 100; });
  EXPECT_GT(dark, 3 * 480 * 640 / 200);
  EXPECT_LT(dark, 3 * 480 * 640 / 4);
}

TEST(SampleImage, IsTheSameEachTime) {
  const Bytes once = sample_image({64, 64});
  const Bytes again = sample_image({64, 64});
  EXPECT_TRUE(std::ranges::equal(once.span(), again.span()));
}

TEST(SampleImage, ASideMustBeThere) { EXPECT_THROW(sample_image({0, 10}), Error); }

}  // namespace
}  // namespace baozi::pipeline
