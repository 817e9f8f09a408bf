#include "baozi/pipeline/builtin/classifier_input.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>

#include "baozi/base/error.h"

namespace baozi::pipeline {
namespace {

constexpr int kSideMax = 8192;
constexpr std::uint8_t kMargin = 127;

[[noreturn]] void refuse(const PipelineContext& context, const std::string& key,
                         const std::string& wanted) {
  throw Error(Code::kInvalidArgument,
              fmt::format("option '{}' of pipeline '{}' is '{}', but {} is wanted", key,
                          context.name, context.option(key, ""), wanted));
}

template <class T, std::size_t N>
T choice(const PipelineContext& context, const std::string& key, T fallback,
         const std::array<std::pair<const char*, T>, N>& choices) {
  if (!context.options.contains(key)) return fallback;
  const std::string text = context.option(key, "");
  std::vector<std::string> names;
  for (const auto& [name, value] : choices) {
    if (text == name) return value;
    names.emplace_back(name);
  }
  refuse(context, key, fmt::format("one of {}", fmt::join(names, ", ")));
}

// "127" or "123.7,116.3,103.5".
std::array<float, 3> three(const PipelineContext& context, const std::string& key,
                           std::array<float, 3> fallback) {
  if (!context.options.contains(key)) return fallback;
  const std::string text = context.option(key, "");
  std::array<float, 3> values{};
  std::size_t count = 0;
  for (const char *at = text.data(), *end = at + text.size(); count < 3; ++at) {
    const auto [next, error] = std::from_chars(at, end, values[count]);
    if (error != std::errc() || !std::isfinite(values[count])) break;
    ++count;
    at = next;
    if (at == end && count == 1) return {values[0], values[0], values[0]};
    if (at == end && count == 3) return values;
    if (at == end || *at != ',') break;
  }
  refuse(context, key, "a number, or three like 123.7,116.3,103.5");
}

}  // namespace

ClassifierInput ClassifierInput::from(const PipelineContext& context,
                                      const engine::TensorSpec& input) {
  const Shape& shape = input.shape;
  const bool planes_first = shape.rank() == 4 && shape[1] == 3;
  if (shape.rank() != 4 || (!planes_first && shape[3] != 3)) {
    throw Error(Code::kInvalidArgument, fmt::format("pipeline '{}' wants a model that takes images "
                                                    "[N,3,H,W] or [N,H,W,3], but input '{}' is {}",
                                                    context.name, input.name, to_string(shape)));
  }
  ClassifierInput made;
  made.planes_first = planes_first;
  const std::int64_t height = shape[planes_first ? 2 : 1], width = shape[planes_first ? 3 : 2];
  const int side = context.option("size", 0);
  if (context.options.contains("size") && (side < 1 || side > kSideMax)) {
    refuse(context, "size", fmt::format("1 to {} pixels", kSideMax));
  }
  if (side == 0 && (height < 1 || width < 1)) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format(
            "pipeline '{}' needs the option 'size' (pixels): the model takes images of any size",
            context.name));
  }
  made.size = side > 0 ? Size{side, side} : Size{static_cast<int>(height), static_cast<int>(width)};
  made.fit =
      choice<Fit>(context, "fit", made.fit,
                  std::array{std::pair{"crop", Fit::kCrop}, std::pair{"stretch", Fit::kStretch},
                             std::pair{"pad", Fit::kPad}});
  made.crop_fraction = context.option("crop_fraction", made.crop_fraction);
  if (!(made.crop_fraction > 0.01 && made.crop_fraction <= 1))
    refuse(context, "crop_fraction", "0.01 to 1");
  made.interpolation = choice<Interpolation>(context, "interpolation", made.interpolation,
                                             std::array{std::pair{"smooth", Interpolation::kSmooth},
                                                        std::pair{"linear", Interpolation::kLinear},
                                                        std::pair{"cubic", Interpolation::kCubic}});
  made.recipe.mean = three(context, "mean", made.recipe.mean);
  made.recipe.std = three(context, "std", made.recipe.std);
  if (std::ranges::count(made.recipe.std, 0.0f) > 0)
    refuse(context, "std", "something other than 0");
  made.recipe.order = choice<ChannelOrder>(
      context, "channels", made.recipe.order,
      std::array{std::pair{"rgb", ChannelOrder::kRgb}, std::pair{"bgr", ChannelOrder::kBgr}});
  return made;
}

int ClassifierInput::side_min() const noexcept {
  const int side = std::max(size.height, size.width);
  return fit == Fit::kCrop ? static_cast<int>(std::ceil(side / crop_fraction)) : side;
}

Tensor ClassifierInput::prepare(const Image& image) const {
  Image fitted;
  switch (fit) {
    case Fit::kStretch:
      fitted = resize(image, size, interpolation);
      break;
    case Fit::kPad:
      fitted = letterbox(image, size, kMargin, interpolation).image;
      break;
    case Fit::kCrop: {
      Rect part = centre_square(image.size(), crop_fraction);
      // A model that is not square gets the largest part of its own ratio inside of that square.
      const int longer = std::max(size.height, size.width);
      const int width = std::max(part.width * size.width / longer, 1);
      const int height = std::max(part.height * size.height / longer, 1);
      part = {part.x + (part.width - width) / 2, part.y + (part.height - height) / 2, width,
              height};
      fitted = resize_crop(image, part, size, interpolation);
      break;
    }
  }
  Tensor planes = Tensor::allocate(DType::kFp32, {1, 3, size.height, size.width});
  normalise(fitted, recipe, planes.mutable_values<float>());
  if (planes_first) return planes;
  Tensor pixels = Tensor::allocate(DType::kFp32, {1, size.height, size.width, 3});
  const std::span<const float> from = planes.values<float>();
  const std::span<float> to = pixels.mutable_values<float>();
  const std::size_t count = from.size() / 3;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t channel = 0; channel < 3; ++channel)
      to[3 * i + channel] = from[channel * count + i];
  }
  return pixels;
}

}  // namespace baozi::pipeline
