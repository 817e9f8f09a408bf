#include "baozi/pipeline/steps/text_boxes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <cmath>
#include <limits>

#include "baozi/base/error.h"
#include "baozi/pipeline/steps/image_fixtures.h"
#include "baozi/pipeline/steps/image_resize.h"

namespace baozi::pipeline {
namespace {

Tensor empty_map(int height, int width) {
  Tensor map = Tensor::allocate(DType::kFp32, {1, 1, height, width});
  std::fill_n(map.mutable_values<float>().begin(), height * width, 0.0f);
  return map;
}

void paint(Tensor& map, Rect rect, float value) {
  for (int y = rect.y; y < rect.y + rect.height; ++y) {
    for (int x = rect.x; x < rect.x + rect.width; ++x) {
      map.mutable_values<float>()[static_cast<std::size_t>(y * map.shape()[3] + x)] = value;
    }
  }
}

void expect_near(Point actual, Point expected, float tolerance) {
  EXPECT_NEAR(actual.x, expected.x, tolerance);
  EXPECT_NEAR(actual.y, expected.y, tolerance);
}

TextBox box_at(float x, float y) {
  return {.corners = {Point{x, y}, {x + 9, y}, {x + 9, y + 9}, {x, y + 9}}, .score = 1};
}

TEST(TextBoxes, GrowsARectangleByAreaTimesRatioOverPerimeter) {
  Tensor map = empty_map(96, 192);
  paint(map, {.x = 40, .y = 30, .width = 101, .height = 21}, 0.9f);
  const auto boxes = text_boxes(map, {96, 192}, {.dilate = false});
  ASSERT_EQ(boxes.size(), 1u);
  EXPECT_NEAR(boxes[0].score, 0.9, 1e-5);
  const float growth =
      100 * 20 * 1.6f / (2 * (100 + 20));  // outlines run through the centres of pixels: 100 × 20
  expect_near(boxes[0].corners[0], {40 - growth, 30 - growth}, 1);
  expect_near(boxes[0].corners[1], {140 + growth, 30 - growth}, 1);
  expect_near(boxes[0].corners[2], {140 + growth, 50 + growth}, 1);
  expect_near(boxes[0].corners[3], {40 - growth, 50 + growth}, 1);
}

TEST(TextBoxes, AreScaledToTheSourceAndClipped) {
  Tensor map = empty_map(64, 64);
  paint(map, {.x = 0, .y = 20, .width = 64, .height = 11}, 0.9f);
  const auto boxes = text_boxes(map, {128, 256}, {.dilate = false});
  ASSERT_EQ(boxes.size(), 1u);
  EXPECT_EQ(boxes[0].corners[0].x, 0);
  EXPECT_EQ(boxes[0].corners[1].x, 255);
  EXPECT_NEAR(boxes[0].corners[0].y, 2 * (20 - 63 * 10 * 1.6f / (2 * 73)), 2);
}

TEST(TextBoxes, FaintAndTinySpotsAreLeftOut) {
  Tensor map = empty_map(96, 96);
  paint(map, {.x = 10, .y = 10, .width = 40, .height = 10},
        0.45f);  // above 0.3, its mean below 0.5
  paint(map, {.x = 10, .y = 50, .width = 3, .height = 3}, 0.9f);
  EXPECT_TRUE(text_boxes(map, {96, 96}, {.dilate = false}).empty());
  EXPECT_EQ(text_boxes(map, {96, 96}, {.box_threshold = 0.4f, .dilate = false}).size(), 1u);
}

TEST(TextBoxes, DilationJoinsHairlineGaps) {
  Tensor map = empty_map(64, 128);
  paint(map, {.x = 10, .y = 20, .width = 40, .height = 10}, 0.9f);
  paint(map, {.x = 51, .y = 20, .width = 40, .height = 10}, 0.9f);
  EXPECT_EQ(text_boxes(map, {64, 128}, {.dilate = false}).size(), 2u);
  EXPECT_EQ(text_boxes(map, {64, 128}, {.dilate = true}).size(), 1u);
}

TEST(TextBoxes, TurnedTextKeepsItsAngle) {
  Tensor map = empty_map(200, 200);
  for (int y = 0; y < 200; ++y) {
    for (int x = 0; x < 200; ++x) {
      const double along = (x - 100) * std::cos(0.5) + (y - 100) * std::sin(0.5);
      const double across = (y - 100) * std::cos(0.5) - (x - 100) * std::sin(0.5);
      if (std::abs(along) < 50 && std::abs(across) < 8)
        map.mutable_values<float>()[static_cast<std::size_t>(y * 200 + x)] = 0.9f;
    }
  }
  const auto boxes = text_boxes(map, {200, 200});
  ASSERT_EQ(boxes.size(), 1u);
  const Point a = boxes[0].corners[0], b = boxes[0].corners[1];
  EXPECT_NEAR(std::atan2(b.y - a.y, b.x - a.x), 0.5, 0.05);
}

// A map of blobs, each: centre x, centre y, width, height, angle, probability.
Tensor map_of_blobs(int height, int width, simdjson::dom::array blobs) {
  Tensor map = empty_map(height, width);
  for (const simdjson::dom::element blob : blobs) {
    const auto number = [&](std::size_t i) { return double(blob.at(i)); };
    const double cosine = std::cos(number(4)), sine = std::sin(number(4));
    for (int i = 0; i < height * width; ++i) {
      const double x = i % width - number(0), y = i / width - number(1);
      if (std::abs(x * cosine + y * sine) > number(2) / 2 ||
          std::abs(y * cosine - x * sine) > number(3) / 2)
        continue;
      map.mutable_values<float>()[static_cast<std::size_t>(i)] = static_cast<float>(number(5));
    }
  }
  return map;
}

TEST(TextBoxes, AgreeWithRapidocrWithinTwoPixelsOfTheMap) {
  simdjson::dom::parser parser;
  const simdjson::dom::element golden =
      parser.load(BAOZI_SOURCE_DIR "/testdata/golden/text_boxes.json");
  std::size_t compared = 0;
  for (const simdjson::dom::element one : simdjson::dom::array(golden["cases"])) {
    const auto size = [&](const char* key) {
      return Size{static_cast<int>(std::int64_t(one[key].at(0))),
                  static_cast<int>(std::int64_t(one[key].at(1)))};
    };
    const auto boxes = text_boxes(map_of_blobs(size("map").height, size("map").width, one["blobs"]),
                                  size("source"));
    const simdjson::dom::array expected = one["boxes"];
    ASSERT_EQ(boxes.size(), expected.size()) << one;
    const float tolerance =
        2.0f * static_cast<float>(size("source").width) / static_cast<float>(size("map").width);
    for (std::size_t b = 0; b < boxes.size(); ++b) {
      for (std::size_t i = 0; i < 4; ++i) {
        expect_near(boxes[b].corners[i],
                    {static_cast<float>(double(expected.at(b).at(2 * i))),
                     static_cast<float>(double(expected.at(b).at(2 * i + 1)))},
                    tolerance);
      }
      ++compared;
    }
  }
  EXPECT_GT(compared, 30u);
}

TEST(TextBoxes, NoTextIsNoBox) { EXPECT_TRUE(text_boxes(empty_map(32, 32), {32, 32}).empty()); }

TEST(TextBoxes, LooksAtNoMoreThanBoxesMaxOutlines) {
  Tensor map = empty_map(96, 96);
  for (int row = 0; row < 4; ++row)
    paint(map, {.x = 10, .y = 5 + 24 * row, .width = 60, .height = 10}, 0.9f);
  EXPECT_EQ(text_boxes(map, {96, 96}).size(), 4u);
  EXPECT_EQ(text_boxes(map, {96, 96}, {.boxes_max = 2}).size(), 2u);
}

TEST(TextBoxes, BadMapsAreRefused) {
  Tensor map = empty_map(32, 32);
  map.mutable_values<float>()[77] = std::numeric_limits<float>::quiet_NaN();
  try {
    text_boxes(map, {32, 32});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInternal);
  }
  EXPECT_THROW(text_boxes(Tensor::allocate(DType::kFp32, {2, 1, 4, 4}), {4, 4}), Error);
  EXPECT_THROW(text_boxes(Tensor::allocate(DType::kUint8, {4, 4}), {4, 4}), Error);
}

TEST(ReadingOrder, RowsThenColumnsWithTolerance) {
  std::vector<TextBox> boxes{box_at(200, 52), box_at(10, 100), box_at(10, 57), box_at(100, 60),
                             box_at(300, 0)};
  sort_in_reading_order(boxes);
  std::vector<Point> order;
  for (const TextBox& box : boxes) order.push_back(box.corners[0]);
  EXPECT_THAT(order, testing::ElementsAre(Point{300, 0}, Point{10, 57}, Point{100, 60},
                                          Point{200, 52}, Point{10, 100}));
}

TEST(CropBox, AnUprightBoxIsItsPixels) {
  const Image image = fixtures::gradient({60, 100});
  const TextBox box{.corners = {Point{10, 20}, {70, 20}, {70, 40}, {10, 40}}, .score = 1};
  const Image cropped = crop_box(image, box);
  const Image expected = crop(image, {.x = 10, .y = 20, .width = 60, .height = 20});
  ASSERT_EQ(cropped.size(), expected.size());
  EXPECT_TRUE(std::equal(cropped.data(), cropped.data() + 60 * 20 * 3, expected.data()));
}

TEST(CropBox, TallBoxesAreTurnedLeft) {
  const Image image = fixtures::gradient({100, 100});
  const TextBox tall{.corners = {Point{10, 10}, {30, 10}, {30, 40}, {10, 40}}, .score = 1};
  const Image turned = crop_box(image, tall);
  ASSERT_EQ(turned.size(), (Size{20, 30}));
  // Counter-clockwise: the top right corner of the box is now the top left.
  EXPECT_EQ(turned.data()[0], image.data()[3 * (10 * 100 + 29)]);
  const TextBox squarish{.corners = {Point{10, 10}, {30, 10}, {30, 39}, {10, 39}}, .score = 1};
  EXPECT_EQ(crop_box(image, squarish).size(), (Size{29, 20}));
}

TEST(CropBox, RefusesABoxWithoutArea) {
  EXPECT_THROW(crop_box(fixtures::gradient({10, 10}),
                        {.corners = {Point{1, 1}, {5, 1}, {5, 1}, {1, 1}}, .score = 1}),
               Error);
}

}  // namespace
}  // namespace baozi::pipeline
