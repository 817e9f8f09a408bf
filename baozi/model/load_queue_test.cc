#include "baozi/model/load_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace baozi::model {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

std::vector<std::string> taken(LoadQueue& queue) {
  std::vector<std::string> names;
  while (const std::optional<LoadQueue::Item> item = queue.take()) names.push_back(item->name);
  return names;
}

TEST(LoadQueue, TheMostUsedGoFirstAndEqualsInTheOrderTheyCame) {
  LoadQueue queue;
  queue.add({.name = "rare", .version = "1", .uses = 1});
  queue.add({.name = "new", .version = "1"});
  queue.add({.name = "hot", .version = "1", .uses = 90});
  queue.add({.name = "newer", .version = "1"});
  EXPECT_THAT(taken(queue), ElementsAre("hot", "rare", "new", "newer"));
  EXPECT_TRUE(queue.empty());
}

TEST(LoadQueue, WhatSomebodyWaitsForJumpsTheQueueInTheOrderOfTheWishes) {
  LoadQueue queue;
  for (const char* name : {"a", "b", "c", "d"})
    queue.add({.name = name, .version = "1", .uses = 9});
  EXPECT_TRUE(queue.want("d", "1"));
  EXPECT_TRUE(queue.want("b", "1"));
  EXPECT_TRUE(queue.want("d", "1")) << "a second wish changes nothing";
  EXPECT_FALSE(queue.want("d", "2"));
  queue.add({.name = "hot", .version = "1", .uses = 1000});
  EXPECT_THAT(taken(queue), ElementsAre("d", "b", "hot", "a", "c"));
}

TEST(LoadQueue, HoldsEachVersionOnce) {
  LoadQueue queue;
  EXPECT_TRUE(queue.add({.name = "m", .version = "1"}));
  EXPECT_FALSE(queue.add({.name = "m", .version = "1"}));
  EXPECT_TRUE(queue.add({.name = "m", .version = "2"}));
  EXPECT_TRUE(queue.remove("m", "1"));
  EXPECT_FALSE(queue.remove("m", "1"));
  EXPECT_EQ(queue.size(), 1u);
}

TEST(LoadQueue, PassesOverWhatMayNotBeLoadedNow) {
  LoadQueue queue;
  queue.add({.name = "a", .version = "1", .uses = 2});
  queue.add({.name = "b", .version = "1", .uses = 1});
  const auto not_a = [](const LoadQueue::Item& item) { return item.name != "a"; };
  EXPECT_EQ(queue.take(not_a)->name, "b");
  EXPECT_FALSE(queue.take(not_a));
  EXPECT_EQ(queue.take()->name, "a");
}

TEST(LoadQueue, ForecastsLanesThatWorkBesideEachOther) {
  LoadQueue queue;
  queue.add({.name = "a", .version = "1", .uses = 3, .expected = milliseconds(100)});
  queue.add({.name = "b", .version = "1", .uses = 2, .expected = milliseconds(50)});
  queue.add({.name = "c", .version = "1", .uses = 1, .expected = milliseconds(10)});
  // One lane is free, the other for another 70 ms not.
  const std::vector<Duration> busy = {Duration::zero(), milliseconds(70)};
  std::vector<std::pair<std::string, Duration>> ready;
  for (const LoadQueue::Forecast& each : queue.forecast(busy))
    ready.emplace_back(each.item->name, each.ready_in);
  EXPECT_THAT(ready,
              ElementsAre(std::pair("a", milliseconds(100)), std::pair("b", milliseconds(120)),
                          std::pair("c", milliseconds(110))));
}

TEST(LoadQueue, NothingIsLostWhateverIsAsked) {
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    LoadQueue queue;
    std::multiset<std::string> inside;
    for (int i = 0; i < 100; ++i) {
      const std::string name(1, static_cast<char>('a' + random() % 12));
      switch (random() % 4) {
        case 0:
          if (queue.add({.name = name, .version = "1", .uses = static_cast<double>(random() % 5)}))
            inside.insert(name);
          break;
        case 1:
          EXPECT_EQ(queue.want(name, "1"), inside.contains(name));
          break;
        case 2:
          EXPECT_EQ(queue.remove(name, "1"), inside.erase(name) > 0);
          break;
        default:
          if (const auto item = queue.take()) {
            EXPECT_EQ(inside.erase(item->name), 1u);
          } else {
            EXPECT_TRUE(inside.empty());
          }
      }
      ASSERT_EQ(queue.size(), inside.size());
    }
  }
}

}  // namespace
}  // namespace baozi::model
