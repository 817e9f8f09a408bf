#include "baozi/base/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "baozi/base/error.h"

namespace baozi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Tensor, KeepsWhatItWasGiven) {
  const Tensor tensor = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(tensor.dtype(), DType::kFp32);
  EXPECT_EQ(to_string(tensor.shape()), "[2,2]");
  EXPECT_THAT(tensor.values<float>(), ElementsAre(1, 2, 3, 4));
}

TEST(Tensor, RowsShareTheMemory) {
  const Tensor tensor = Tensor::of<std::int32_t>({3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor part = tensor.rows(1, 2);
  EXPECT_THAT(part.values<std::int32_t>(), ElementsAre(3, 4, 5, 6));
  EXPECT_EQ(part.data().data(), tensor.data().data() + 8);
}

TEST(Tensor, StringsComeBackAsTheyWere) {
  const Tensor tensor = Tensor::of_strings({3}, {"steam", "", "bun"});
  EXPECT_THAT(tensor.strings(), ElementsAre("steam", "", "bun"));
}

TEST(Tensor, WrongSizeSaysBothSizes) {
  try {
    Tensor(DType::kFp32, {2, 2}, Bytes::allocate(15));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kInvalidArgument);
    EXPECT_THAT(error.message(), HasSubstr("takes 16 bytes, but 15 were given"));
  }
}

TEST(Tensor, BytesElementsAreChecked) {
  Bytes lying = Bytes::allocate(6);
  const std::uint32_t length = 100;
  std::memcpy(lying.mutable_data(), &length, 4);
  EXPECT_THROW(Tensor(DType::kBytes, {1}, lying), Error);
  EXPECT_THROW(Tensor(DType::kBytes, {1}, Bytes::allocate(3)), Error);
  EXPECT_THROW(Tensor(DType::kBytes, {2}, Tensor::of_strings({1}, {"x"}).data()), Error);
  EXPECT_THROW(Tensor(DType::kBytes, {1}, Tensor::of_strings({2}, {"x", "y"}).data()), Error);
}

TEST(Shape, AbsurdSizesAreRefused) {
  EXPECT_THROW((Shape{std::int64_t{1} << 40, std::int64_t{1} << 40}).elements(), Error);
  EXPECT_THROW((Shape{std::int64_t{1} << 62, 0}).elements(), Error);
  EXPECT_THROW((Shape{-1, 2}).elements(), Error);
  EXPECT_EQ((Shape{0, 1000}).elements(), 0);
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_THROW((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), Error);
}

TEST(DTypeNames, AreKServes) {
  for (int i = 0; i <= static_cast<int>(DType::kBytes); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(dtype_from_name(dtype_name(dtype)), dtype);
  }
  EXPECT_EQ(dtype_from_name("FLOAT"), std::nullopt);
}

TEST(Half, EveryFiniteValueSurvivesTheWayThroughFloat) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Half half{static_cast<std::uint16_t>(bits)};
    const float value = to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(to_float(to_half(value))));
    } else {
      EXPECT_EQ(to_half(value).bits, half.bits) << value;
    }
  }
}

TEST(Half, RoundsToNearestEvenAndOverflowsToInfinity) {
  EXPECT_EQ(to_half(65504.0f).bits, 0x7bff);
  EXPECT_EQ(to_half(65520.0f).bits, 0x7c00);
  EXPECT_EQ(to_half(65519.0f).bits, 0x7bff);
  EXPECT_EQ(to_half(1.0f + 0x1p-11f).bits, 0x3c00);  // half way: to even
  EXPECT_EQ(to_half(1.0f + 3 * 0x1p-11f).bits, 0x3c02);
  EXPECT_EQ(to_half(-0.0f).bits, 0x8000);
}

TEST(BFloat16, RoundsToNearestEven) {
  EXPECT_EQ(to_bfloat16(1.0f).bits, 0x3f80);
  EXPECT_EQ(to_bfloat16(1.0f + 0x1p-8f).bits, 0x3f80);
  EXPECT_EQ(to_bfloat16(1.0f + 3 * 0x1p-8f).bits, 0x3f82);
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::numeric_limits<float>::quiet_NaN()))));
  for (std::uint32_t bits = 0; bits < 0x10000; bits += 7) {
    const BFloat16 value{static_cast<std::uint16_t>(bits)};
    if (std::isnan(to_float(value))) continue;
    EXPECT_EQ(to_bfloat16(to_float(value)).bits, value.bits);
  }
}

TEST(FindTensor, MissingNameListsTheOthers) {
  Tensors tensors;
  tensors.push_back({"a", Tensor::of<float>({1}, {1})});
  tensors.push_back({"b", Tensor::of<float>({1}, {2})});
  EXPECT_EQ(get_tensor(tensors, "b").values<float>()[0], 2);
  EXPECT_EQ(find_tensor(tensors, "c"), nullptr);
  try {
    get_tensor(tensors, "c");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.message(), "no tensor 'c' among [a, b]");
  }
}

}  // namespace
}  // namespace baozi
