#include "baozi/llm/offloaded.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace baozi::llm {
namespace {

using engine::Token;

std::vector<Token> tokens_of(std::string_view text) { return {text.begin(), text.end()}; }

class OffloadedTest : public testing::Test {
 protected:
  int put(std::string_view text, int begin = 0) {
    return offloaded_.put(tokens_of(text), begin, dropped_);
  }
  int reach(std::string_view text, int from = 0) { return offloaded_.reach(tokens_of(text), from); }
  Offloaded::Found find(std::string_view text, int from) {
    return offloaded_.find(tokens_of(text), from);
  }

  Offloaded offloaded_{20};
  std::vector<int> dropped_;
};

TEST_F(OffloadedTest, RunsOfATextFollowEachOther) {
  const int first = put("system");
  const int second = put("system: one", 6);
  EXPECT_EQ(offloaded_.tokens(), 11);
  EXPECT_EQ(reach("system: one more"), 11);
  EXPECT_EQ(reach("system: two"), 8);
  EXPECT_EQ(reach("sys"), 3);
  EXPECT_EQ(reach("other"), 0);
  const Offloaded::Found begin = find("system: one", 0);
  EXPECT_EQ(begin.run, first);
  EXPECT_EQ(begin.end, 6);
  EXPECT_TRUE(begin.all);
  const Offloaded::Found next = find("system: two", 6);
  EXPECT_EQ(next.run, second);
  EXPECT_EQ(next.end, 8);
  EXPECT_FALSE(next.all);
  EXPECT_EQ(next.size, 5);
}

// Keys and values are good only behind the very tokens they were computed behind.
TEST_F(OffloadedTest, ARunNeedsItsBeginning) {
  put("system: one", 6);
  EXPECT_EQ(reach("system: one"), 0) << "nobody has the first six";
  EXPECT_EQ(reach("system: one", 6), 11) << "the memory has them";
  EXPECT_EQ(reach("System: one", 6), 6) << "it has others";
}

TEST_F(OffloadedTest, WhatWasUsedLongestAgoGoesItsEndFirst) {
  const int head = put("aaaaa");
  const int tail = put("aaaaabbbbb", 5);
  const int other = put("ccccc");
  offloaded_.touch(tokens_of("aaaaabbbbb"), 0);
  EXPECT_TRUE(dropped_.empty());
  put("dddddddddd");
  EXPECT_EQ(dropped_, (std::vector<int>{other}));
  dropped_.clear();
  put("eeeee");
  EXPECT_EQ(dropped_, (std::vector<int>{tail}));
  EXPECT_EQ(find("aaaaa", 0).run, head);
}

TEST_F(OffloadedTest, MoreThanThereMayBeIsNotTaken) {
  EXPECT_EQ(put("123456789012345678901"), -1);
  EXPECT_EQ(offloaded_.tokens(), 0);
}

TEST_F(OffloadedTest, WhatLiesElsewhereTakesNoRoom) {
  const int elsewhere = offloaded_.put_free(tokens_of("a long text that is on a disk"));
  EXPECT_EQ(offloaded_.tokens(), 0);
  put("12345678901234567890");
  put("09876543210987654321");
  EXPECT_EQ(dropped_.size(), 1u);
  EXPECT_EQ(find("a long", 0).run, elsewhere);
}

}  // namespace
}  // namespace baozi::llm
