#include "baozi/engine/token_chances.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "baozi/base/error.h"

namespace baozi::engine {
namespace {

TEST(TokenChances, AreTheSoftmaxOfTheLogits) {
  TokenChances chances;
  // Probabilities 1/8, 1/2, 1/4 and 1/8, and a shift, which changes nothing.
  const std::vector<float> logits{100 + std::log(1.0F), 100 + std::log(4.0F), 100 + std::log(2.0F),
                                  100 + std::log(1.0F)};
  const Chances found = chances.of(logits, 2, 3);
  EXPECT_NEAR(found.logprob, std::log(0.25), 1e-5);
  ASSERT_EQ(found.top.size(), 3u);
  EXPECT_EQ(found.top[0].token, 1);
  EXPECT_NEAR(found.top[0].logprob, std::log(0.5), 1e-5);
  EXPECT_EQ(found.top[1].token, 2);
  EXPECT_EQ(found.top[2].token, 0) << "of equal ones the first";
  EXPECT_NEAR(found.top[2].logprob, std::log(0.125), 1e-5);
}

TEST(TokenChances, AsManyAsThereAre) {
  TokenChances chances;
  const std::vector<float> logits{0, 1};
  EXPECT_TRUE(chances.of(logits, 0, 0).top.empty());
  EXPECT_TRUE(chances.of(logits, 0, -3).top.empty());
  EXPECT_EQ(chances.of(logits, 0, 20).top.size(), 2u);
}

TEST(TokenChances, AnImpossibleTokenHasNoChance) {
  TokenChances chances;
  const std::vector<float> logits{0, -std::numeric_limits<float>::infinity()};
  EXPECT_EQ(chances.of(logits, 0, 1).logprob, 0);
  EXPECT_TRUE(std::isinf(chances.of(logits, 1, 1).logprob));
}

TEST(TokenChances, ATokenThatIsNotThere) {
  TokenChances chances;
  const std::vector<float> logits{0, 1};
  EXPECT_THROW(chances.of(logits, 2, 1), Error);
  EXPECT_THROW(chances.of(logits, -1, 1), Error);
  EXPECT_THROW(chances.of({}, 0, 1), Error);
}

}  // namespace
}  // namespace baozi::engine
