#include "baozi/model/response_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace baozi::model {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kAnswerBytes = 1000;
constexpr std::size_t kEach = kAnswerBytes + ResponseCache::kEntryBytes;
const Time kStart{};

// Keys are hashes: these, too, use all their bits.
CacheKey key(std::uint64_t i) { return {i * 0x9e3779b97f4a7c15u + 1, i * 0xbf58476d1ce4e5b9u + 7}; }

ResponseCache::Answer answer(Time now, Duration ttl = 1h, std::size_t bytes = kAnswerBytes) {
  return {Bytes::allocate(bytes), now, now + ttl};
}

// As a request does: it looks first. Whether it was there.
bool ask(ResponseCache& cache, const CacheKey& key, Time now = kStart, Duration ttl = 1h) {
  if (cache.find(key, now).answer) return true;
  cache.put(key, answer(now, ttl), now);
  return false;
}

TEST(ResponseCache, GivesBackWhatWasPut) {
  ResponseCache cache({.bytes_max = 10 * kEach});
  EXPECT_FALSE(cache.find(key(1), kStart).answer);
  const ResponseCache::Answer put = answer(kStart);
  EXPECT_TRUE(cache.put(key(1), put, kStart));
  const ResponseCache::Found found = cache.find(key(1), kStart + 1s);
  ASSERT_TRUE(found.answer);
  EXPECT_EQ(found.answer->bytes.data(), put.bytes.data()) << "no copy";
  EXPECT_EQ(found.answer->stored, kStart);
  EXPECT_EQ(found.uses, 1u);
  EXPECT_EQ(cache.find(key(1), kStart).uses, 2u);
  EXPECT_EQ(cache.counters().bytes, kEach);
  EXPECT_EQ(cache.counters().entries, 1u);
}

TEST(ResponseCache, ForgetsWhatHasExpired) {
  ResponseCache cache({.bytes_max = 10 * kEach});
  ask(cache, key(1), kStart, 10s);
  EXPECT_TRUE(cache.find(key(1), kStart + 10s - 1ns).answer);
  EXPECT_TRUE(cache.peek(key(1), kStart + 9s));
  EXPECT_FALSE(cache.peek(key(1), kStart + 10s));
  const ResponseCache::Found late = cache.find(key(1), kStart + 10s);
  EXPECT_FALSE(late.answer);
  EXPECT_TRUE(late.expired);
  EXPECT_FALSE(cache.find(key(1), kStart + 10s).expired) << "it is gone";
  EXPECT_EQ(cache.counters().bytes, 0u);
  EXPECT_EQ(cache.counters().expired, 1u);
  EXPECT_FALSE(cache.put(key(2), answer(kStart, 1s), kStart + 1s)) << "expired already";
}

TEST(ResponseCache, StaysWithinItsBudget) {
  ResponseCache cache({.bytes_max = 10 * kEach});
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ask(cache, key(i % 40));
    EXPECT_LE(cache.counters().bytes, 10 * kEach);
  }
  EXPECT_EQ(cache.counters().entries, 10u);
  EXPECT_GT(cache.counters().refused, 0u);
}

TEST(ResponseCache, EvictsTheLeastRecentlyUsedFirst) {
  ResponseCache cache({.bytes_max = 4 * kEach});
  for (const std::uint64_t i : {1u, 2u, 3u, 4u}) ask(cache, key(i));
  ask(cache, key(1));  // 2 is now the oldest
  cache.find(key(5), kStart);
  EXPECT_FALSE(ask(cache, key(5)));  // asked for twice, 2 once
  EXPECT_TRUE(cache.peek(key(1), kStart));
  EXPECT_FALSE(cache.peek(key(2), kStart));
  EXPECT_TRUE(cache.peek(key(3), kStart));
  EXPECT_TRUE(cache.peek(key(5), kStart));
  EXPECT_EQ(cache.counters().evicted, 1u);
}

// The hot ones are asked for now and then while many others pass by once.
TEST(ResponseCache, AScanDoesNotPushOutTheHot) {
  ResponseCache cache({.bytes_max = 10 * kEach});
  for (int round = 0; round < 6; ++round) {
    for (std::uint64_t i = 0; i < 10; ++i) ask(cache, key(i));
  }
  for (std::uint64_t i = 0; i < 2000; ++i) ask(cache, key(1000 + i));
  int kept = 0;
  for (std::uint64_t i = 0; i < 10; ++i) kept += cache.peek(key(i), kStart) ? 1 : 0;
  EXPECT_EQ(kept, 10);
}

TEST(ResponseCache, WhatBecomesHotGetsIn) {
  ResponseCache cache({.bytes_max = 10 * kEach});
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t i = 0; i < 10; ++i) ask(cache, key(i));
  }
  int hits = 0;
  for (int round = 0; round < 20; ++round) {
    for (std::uint64_t i = 100; i < 105; ++i) hits += ask(cache, key(i)) ? 1 : 0;
  }
  EXPECT_GE(hits, 5 * 15);
}

TEST(ResponseCache, ALargeAnswerDoesNotPushOutManyWantedOnes) {
  ResponseCache cache({.bytes_max = 20 * kEach});
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t i = 0; i < 20; ++i) ask(cache, key(i));
  }
  for (int i = 0; i < 4; ++i) cache.find(key(99), kStart);
  EXPECT_FALSE(cache.put(key(99), answer(kStart, 1h, 4 * kAnswerBytes), kStart));
  EXPECT_EQ(cache.counters().entries, 20u);
  EXPECT_EQ(cache.counters().evicted, 0u);
}

TEST(ResponseCache, AnExpiredOneMakesRoomForNothing) {
  ResponseCache cache({.bytes_max = 4 * kEach});
  for (int round = 0; round < 5; ++round) {
    for (std::uint64_t i = 0; i < 4; ++i) ask(cache, key(i), kStart, 10s);
  }
  EXPECT_FALSE(ask(cache, key(9), kStart + 5s));
  EXPECT_FALSE(cache.peek(key(9), kStart + 5s)) << "the others are wanted more";
  ask(cache, key(9), kStart + 20s);
  EXPECT_TRUE(cache.peek(key(9), kStart + 20s));
  EXPECT_EQ(cache.counters().evicted, 0u);
  EXPECT_EQ(cache.counters().expired, 1u);
}

TEST(ResponseCache, RefusesWhatTakesTooMuch) {
  ResponseCache cache({.bytes_max = 8 * kEach});
  EXPECT_FALSE(cache.put(key(1), answer(kStart, 1h, 3 * kEach), kStart));
  EXPECT_EQ(cache.counters().refused, 1u);
  ResponseCache none({.bytes_max = 0});
  EXPECT_FALSE(none.put(key(1), answer(kStart), kStart));
  EXPECT_FALSE(none.find(key(1), kStart).answer);
}

TEST(ResponseCache, ReplacesAndRemoves) {
  ResponseCache cache({.bytes_max = 40 * kEach});
  cache.put(key(1), answer(kStart), kStart);
  cache.put(key(1), answer(kStart + 1s, 1h, 2 * kAnswerBytes), kStart + 1s);
  EXPECT_EQ(cache.counters().entries, 1u);
  EXPECT_EQ(cache.counters().bytes, 2 * kAnswerBytes + ResponseCache::kEntryBytes);
  EXPECT_EQ(cache.find(key(1), kStart + 1s).answer->stored, kStart + 1s);
  cache.remove(key(1));
  cache.remove(key(2));
  EXPECT_EQ(cache.counters().bytes, 0u);
  EXPECT_EQ(cache.counters().entries, 0u);
}

TEST(ResponseCache, ManyThreadsAtOnce) {
  ResponseCache cache({.bytes_max = 50 * kEach});
  std::vector<std::jthread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&cache, t] {
      for (std::uint64_t i = 0; i < 5000; ++i) ask(cache, key((i * (t + 3)) % 97));
    });
  }
  threads.clear();
  const ResponseCache::Counters counters = cache.counters();
  EXPECT_LE(counters.bytes, 50 * kEach);
  EXPECT_EQ(counters.bytes, counters.entries * kEach);
}

TEST(FrequencySketch, CountsAndForgets) {
  FrequencySketch sketch(64);
  for (int i = 0; i < 5; ++i) sketch.add(key(1));
  EXPECT_EQ(sketch.count(key(1)), 5);
  EXPECT_EQ(sketch.count(key(2)), 0);
  for (int i = 0; i < 100; ++i) sketch.add(key(1));
  EXPECT_EQ(sketch.count(key(1)), FrequencySketch::kCountMax);
  for (std::uint64_t i = 0; i < 3 * 640; ++i) sketch.add(key(100 + i % 8));
  EXPECT_LE(sketch.count(key(1)), FrequencySketch::kCountMax / 4);
}

}  // namespace
}  // namespace baozi::model
