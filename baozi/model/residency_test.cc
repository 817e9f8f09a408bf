#include "baozi/model/residency.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace baozi::model {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Time at(int seconds) { return Time{} + std::chrono::seconds(seconds); }

class ResidencyTest : public testing::Test {
 protected:
  ResidencyTest() {
    residency_.enter("a", 30, false, at(1));
    residency_.enter("b", 40, false, at(2));
    residency_.enter("c", 20, true, at(0));
  }

  Residency residency_{100};
};

TEST_F(ResidencyTest, NothingLeavesWhileThereIsRoom) {
  const Residency::Room room = residency_.make_room("d", 10);
  EXPECT_TRUE(room.fits);
  EXPECT_THAT(room.leave, IsEmpty());
}

TEST_F(ResidencyTest, WhatWasUsedLongestAgoLeavesFirstAndOnlyAsMuchAsMust) {
  EXPECT_THAT(residency_.make_room("d", 20).leave, ElementsAre("a"));
  residency_.used("a", at(3));
  EXPECT_THAT(residency_.make_room("d", 20).leave, ElementsAre("b"));
  EXPECT_THAT(residency_.make_room("d", 80).leave, ElementsAre("b", "a"));
  residency_.used("a", at(0));
  EXPECT_THAT(residency_.make_room("d", 20).leave, ElementsAre("b")) << "time does not go back";
}

TEST_F(ResidencyTest, WhatIsPinnedStaysAndWhatDoesNotFitMakesNobodyLeave) {
  const Residency::Room room = residency_.make_room("d", 81);
  EXPECT_FALSE(room.fits);
  EXPECT_THAT(room.leave, IsEmpty());
  EXPECT_EQ(room.kept, 20u);
}

TEST_F(ResidencyTest, ASuccessorTakesItsOwnPlace) {
  const Residency::Room room = residency_.make_room("b", 50);
  EXPECT_TRUE(room.fits);
  EXPECT_THAT(room.leave, IsEmpty());
  residency_.enter("b", 50, false, at(4));
  EXPECT_EQ(residency_.bytes(), 100u);
}

TEST_F(ResidencyTest, WhatGrowsStaysWithinTheLimit) {
  EXPECT_TRUE(residency_.resize("a", 40));
  EXPECT_EQ(residency_.bytes(), 100u);
  EXPECT_FALSE(residency_.resize("a", 41));
  EXPECT_EQ(residency_.bytes_of("a"), 40u);
  EXPECT_TRUE(residency_.resize("a", 10));
  EXPECT_EQ(residency_.bytes(), 70u);
  EXPECT_FALSE(residency_.resize("d", 1)) << "it is not here";
  EXPECT_EQ(residency_.last_used("a"), at(1));
  Residency unlimited{0};
  unlimited.enter("a", 1, false, at(1));
  EXPECT_TRUE(unlimited.resize("a", std::size_t{1} << 40));
}

TEST_F(ResidencyTest, RemembersWhenItWasUsed) {
  EXPECT_EQ(residency_.last_used("a"), at(1));
  residency_.leave("a");
  EXPECT_EQ(residency_.last_used("a"), Time::min());
  EXPECT_EQ(residency_.bytes(), 60u);
}

TEST(Residency, WithoutALimitEverythingFits) {
  Residency residency(0);
  residency.enter("a", std::size_t{1} << 60, false, at(1));
  EXPECT_TRUE(residency.make_room("b", std::size_t{1} << 60).fits);
}

TEST(Residency, IsNeverAboveItsLimitWhenItsAdviceIsTaken) {
  std::mt19937 random(3);
  Residency residency(1000);
  for (int i = 0; i < 5000; ++i) {
    const std::string name = std::to_string(random() % 20);
    if (random() % 3 == 0) {
      residency.used(name, at(i));
      continue;
    }
    const std::size_t bytes = random() % 700;
    const Residency::Room room = residency.make_room(name, bytes);
    if (!room.fits) {
      EXPECT_GT(room.kept + bytes, 1000u) << "it would have fitted";
      continue;
    }
    for (const std::string& each : room.leave) residency.leave(each);
    residency.enter(name, bytes, random() % 10 == 0 && residency.bytes() < 300, at(i));
    ASSERT_LE(residency.bytes(), 1000u);
  }
}

}  // namespace
}  // namespace baozi::model
