#include "baozi/pipeline/steps/mean_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "baozi/base/error.h"

namespace baozi::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;

Code code_of(const Tensor& hidden, const Tensor& mask) {
  try {
    mean_pool(hidden, mask);
  } catch (const Error& error) {
    return error.code();
  }
  return Code::kOk;
}

TEST(MeanPool, AveragesOnlyWhatTheMaskCounts) {
  const Tensor hidden = Tensor::of<float>({2, 3, 2}, {1, 2, 3, 6, 99, 99, 5, 7, 99, 99, 99, 99});
  const Tensor mask = Tensor::of<std::int64_t>({2, 3}, {1, 1, 0, 1, 0, 0});
  const Tensor pooled = mean_pool(hidden, mask, {.l2_normalise = false});
  EXPECT_EQ(pooled.shape(), (Shape{2, 2}));
  EXPECT_THAT(pooled.values<float>(), ElementsAre(2, 4, 5, 7));
}

TEST(MeanPool, NormalisesToUnitLength) {
  const Tensor hidden = Tensor::of<float>({1, 2, 2}, {2, 4, 4, 4});
  const Tensor pooled = mean_pool(hidden, Tensor::of<std::int64_t>({1, 2}, {1, 1}));
  EXPECT_THAT(pooled.values<float>(), ElementsAre(FloatNear(0.6f, 1e-6f), FloatNear(0.8f, 1e-6f)));
}

TEST(MeanPool, AnEmptyMaskGivesZeros) {
  const Tensor hidden = Tensor::of<float>({1, 1, 3}, {1, 2, 3});
  const Tensor mask = Tensor::of<std::int64_t>({1, 1}, {std::int64_t{0}});
  EXPECT_THAT(mean_pool(hidden, mask).values<float>(), ElementsAre(0, 0, 0));
  EXPECT_THAT(mean_pool(hidden, mask, {.l2_normalise = false}).values<float>(),
              ElementsAre(0, 0, 0));
}

TEST(MeanPool, MaskedNanIsIgnoredCountedNanIsTheModelsFault) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor hidden = Tensor::of<float>({1, 2, 1}, {3, nan});
  EXPECT_EQ(code_of(hidden, Tensor::of<std::int64_t>({1, 2}, {1, 0})), Code::kOk);
  EXPECT_EQ(code_of(hidden, Tensor::of<std::int64_t>({1, 2}, {1, 1})), Code::kInternal);
}

TEST(MeanPool, RefusesShapesThatDoNotFit) {
  const Tensor hidden = Tensor::of<float>({1, 2, 1}, {3, 4});
  EXPECT_EQ(code_of(hidden, Tensor::of<std::int64_t>({2, 1}, {1, 1})), Code::kInvalidArgument);
  EXPECT_EQ(code_of(hidden, Tensor::of<std::int32_t>({1, 2}, {1, 1})), Code::kInvalidArgument);
  EXPECT_EQ(code_of(Tensor::of<float>({1, 2}, {3, 4}), Tensor::of<std::int64_t>({1, 2}, {1, 1})),
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace baozi::pipeline
