#include "baozi/coro/burst.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "baozi/coro/lane.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"

namespace baozi {
namespace {

class Counter final : public Burst::Deferred {
 public:
  int calls = 0;
  void burst_ended() noexcept override { ++calls; }
};

TEST(Burst, PutsOffUntilItEnds) {
  Counter counter;
  Burst burst;
  Burst::defer(counter);
  EXPECT_EQ(counter.calls, 0);
  burst.end();
  EXPECT_EQ(counter.calls, 1);
  burst.end();
  EXPECT_EQ(counter.calls, 1);
}

TEST(Burst, WithoutOneNothingIsPutOff) {
  Counter counter;
  EXPECT_FALSE(Burst::is_open());
  Burst::defer(counter);
  EXPECT_EQ(counter.calls, 1);
}

TEST(Burst, DestructorEndsIt) {
  Counter counter;
  {
    const Burst burst;
    EXPECT_TRUE(Burst::is_open());
    Burst::defer(counter);
  }
  EXPECT_EQ(counter.calls, 1);
  EXPECT_FALSE(Burst::is_open());
}

TEST(Burst, MoreThanItHoldsIsDoneAtOnce) {
  std::vector<Counter> counters(100);
  int at_once = 0;
  {
    const Burst burst;
    for (Counter& counter : counters) {
      Burst::defer(counter);
      at_once += counter.calls;
    }
  }
  EXPECT_GT(at_once, 0);
  for (const Counter& counter : counters) EXPECT_EQ(counter.calls, 1);
}

TEST(Burst, WhatIsPutOffWhileItEndsIsDoneToo) {
  class Chain final : public Burst::Deferred {
   public:
    Counter next;
    void burst_ended() noexcept override { Burst::defer(next); }
  };
  Chain chain;
  Burst burst;
  Burst::defer(chain);
  burst.end();
  EXPECT_EQ(chain.next.calls, 1);
}

TEST(Burst, OneThatBlocksMayEndItFromWithin) {
  class Blocker final : public Burst::Deferred {
   public:
    int calls = 0;
    void burst_ended() noexcept override {
      ++calls;
      Burst::end_current();
    }
  };
  Blocker first;
  Counter second;
  Burst burst;
  Burst::defer(first);
  Burst::defer(second);
  burst.end();
  EXPECT_EQ(first.calls, 1);
  EXPECT_EQ(second.calls, 1);
}

TEST(Burst, IsOverdueAfterAWhile) {
  Counter counter;
  Burst burst;
  EXPECT_FALSE(burst.overdue());
  Burst::defer(counter);
  while (!burst.overdue()) {
  }
  burst.end();
  EXPECT_FALSE(burst.overdue());
}

// A Work that counts its runs.
struct CountingWork : Work {
  CountingWork() {
    run = [](Work* work) noexcept {
      static_cast<CountingWork*>(work)->runs.fetch_add(1);
      static_cast<CountingWork*>(work)->runs.notify_all();
    };
  }
  std::atomic<int> runs{0};
};

TEST(Burst, ASleepingLaneIsWokenAtTheEnd) {
  CountingWork first;  // these outlive the lane, which may still be about to notify
  CountingWork second;
  Lane lane("lane");
  lane.post(first);
  first.runs.wait(0);
  for (int i = 0; i < 200; ++i) {  // mostly asleep, now and then about to be
    second.runs = 0;
    Burst burst;
    lane.post(second);
    burst.end();
    second.runs.wait(0);
  }
}

TEST(Burst, ALaneMayEndWhileItsWakeUpIsPutOff) {
  for (int i = 0; i < 200; ++i) {
    auto lane = std::make_unique<Lane>("lane");
    CountingWork work;
    const Burst burst;
    lane->post(work);
    lane.reset();  // joins: the work has run
    EXPECT_EQ(work.runs.load(), 1);
  }
}

TEST(Burst, OthersWakeALaneMeanwhile) {
  std::array<CountingWork, 200> mine;
  std::array<CountingWork, 200> theirs;
  Lane lane("lane");
  for (std::size_t i = 0; i < mine.size(); ++i) {
    Burst burst;
    lane.post(mine[i]);
    std::thread other([&] { lane.post(theirs[i]); });
    other.join();
    burst.end();
    mine[i].runs.wait(0);
    theirs[i].runs.wait(0);
  }
}

Task<int> on(Executor* executor) {
  co_await switch_to(*executor);
  co_return 7;
}

TEST(Burst, SyncWaitEndsItBeforeItSleeps) {
  Lane lane("lane");
  const Burst burst;
  EXPECT_EQ(sync_wait(on(&lane)), 7);
}

}  // namespace
}  // namespace baozi
