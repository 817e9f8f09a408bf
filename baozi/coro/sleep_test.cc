#include "baozi/coro/sleep.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <thread>
#include <vector>

#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/coro/timer.h"
#include "baozi/coro/with_deadline.h"

namespace baozi {
namespace {

using namespace std::chrono_literals;

Code code_of(Task<void> task, const Context& context = {}) {
  try {
    sync_wait(std::move(task), context);
  } catch (const Error& error) {
    return error.code();
  }
  return Code::kOk;
}

struct Fired : TimerEntry {
  Fired()
      : TimerEntry([](TimerEntry* entry) noexcept {
          auto* self = static_cast<Fired*>(entry);
          self->place = self->counter->fetch_add(1) + 1;
        }) {}
  std::atomic<int>* counter = nullptr;
  std::atomic<int> place{0};
};

TEST(Timer, FiresInTheOrderOfDueTimesWhateverTheOrderOfArming) {
  constexpr std::size_t kCount = 64;
  std::atomic<int> counter{0};
  std::array<Fired, kCount> entries;
  const Time base = Clock::now() + 20ms;
  for (std::size_t i = 0; i < kCount; ++i) {
    const std::size_t at = i * 37 % kCount;  // scattered
    entries[at].counter = &counter;
    timer::add(entries[at], base + std::chrono::microseconds(50 * at));
  }
  while (counter.load() < static_cast<int>(kCount)) std::this_thread::sleep_for(1ms);
  for (std::size_t i = 0; i < kCount; ++i)
    EXPECT_EQ(entries[i].place.load(), static_cast<int>(i) + 1);
}

TEST(Timer, CancelledEntriesDoNotFireAndTheOthersDo) {
  constexpr std::size_t kCount = 500;
  std::atomic<int> counter{0};
  std::vector<Fired> entries(kCount);
  const Time due = Clock::now() + 30ms;
  for (std::size_t i = 0; i < kCount; ++i) {
    entries[i].counter = &counter;
    timer::add(entries[i], due + std::chrono::microseconds(i * 7 % 100));
  }
  int cancelled = 0;
  for (std::size_t i = 0; i < kCount; i += 3) cancelled += timer::cancel(entries[i]) ? 1 : 0;
  EXPECT_FALSE(timer::cancel(entries[0])) << "cancelled twice";
  std::this_thread::sleep_until(due + 20ms);
  while (counter.load() + cancelled < static_cast<int>(kCount)) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(cancelled, 167);
  for (std::size_t i = 0; i < kCount; ++i) EXPECT_EQ(entries[i].place.load() == 0, i % 3 == 0) << i;
}

TEST(Timer, CancelWaitsForARunInProgress) {
  struct Slow : TimerEntry {
    Slow()
        : TimerEntry([](TimerEntry* entry) noexcept {
            auto* self = static_cast<Slow*>(entry);
            self->started = true;
            std::this_thread::sleep_for(20ms);
            self->finished = true;
          }) {}
    std::atomic<bool> started{false};
    std::atomic<bool> finished{false};
  };
  Slow entry;
  timer::add(entry, Clock::now());
  while (!entry.started) std::this_thread::yield();
  EXPECT_FALSE(timer::cancel(entry));
  EXPECT_TRUE(entry.finished);
}

Task<void> nap(Duration span) {
  co_await sleep_for(span);
}

TEST(Sleep, LastsAsLongAsAsked) {
  const Time start = Clock::now();
  sync_wait(nap(15ms));
  EXPECT_GE(Clock::now() - start, 15ms);
  EXPECT_LT(Clock::now() - start, 5s);
}

Task<void> nap_until(Time due) {
  co_await sleep_until(due);
}
TEST(Sleep, APastTimeIsNoWait) { sync_wait(nap_until(Clock::now() - 1s)); }

TEST(Sleep, AStopEndsItWithItsReason) {
  StopSource stop;
  const Context context{stop.token(), kNever, nullptr};
  std::thread stopper([&] {
    std::this_thread::sleep_for(10ms);
    stop.request_stop(Code::kUnavailable);
  });
  EXPECT_EQ(code_of(nap(1h), context), Code::kUnavailable);
  stopper.join();
  EXPECT_EQ(timer::armed(), 0u);
}

TEST(Sleep, AStopThatCameBeforeThrowsAtOnce) {
  StopSource stop;
  stop.request_stop();
  const Context context{stop.token(), kNever, nullptr};
  EXPECT_EQ(code_of(nap(1h), context), Code::kCancelled);
  EXPECT_EQ(code_of(nap(Duration::max()), context), Code::kCancelled);
}

Task<void> count_naps(Duration span, std::atomic<int>* done, std::atomic<int>* stopped) {
  try {
    co_await sleep_for(span);
    done->fetch_add(1);
  } catch (const Error&) {
    stopped->fetch_add(1);
  }
}
Task<void> many_naps(ThreadPool* pool, Duration stop_after, std::atomic<int>* done,
                     std::atomic<int>* stopped) {
  const Context& context = co_await this_context();
  Nursery nursery(context, *pool);
  for (int i = 0; i < 100; ++i)
    nursery.spawn(count_naps(std::chrono::microseconds(i * 10), done, stopped));
  co_await sleep_for(stop_after);
  nursery.stop();
  co_await nursery.join();
}
TEST(Sleep, StopsThatRaceTheTimerEndEverySleepOnce) {
  ThreadPool pool(2);
  std::atomic<int> done{0};
  std::atomic<int> stopped{0};
  for (int round = 0; round < 50; ++round) {
    sync_wait(many_naps(&pool, std::chrono::microseconds(round * 20), &done, &stopped));
  }
  EXPECT_EQ(done + stopped, 5000);
  EXPECT_GT(done.load(), 0);
  EXPECT_GT(stopped.load(), 0);
  EXPECT_EQ(timer::armed(), 0u);
}

Task<int> answer_after(Duration span) {
  co_await sleep_for(span);
  co_return 42;
}
TEST(WithDeadline, GivesTheResultThatCameInTime) {
  EXPECT_EQ(sync_wait(with_timeout(answer_after(1ms), 10s)), 42);
  EXPECT_EQ(timer::armed(), 0u);
}

TEST(WithDeadline, StopsTheTaskWhenTheTimeComes) {
  const Time start = Clock::now();
  EXPECT_EQ(code_of(with_timeout(nap(1h), 5ms)), Code::kDeadlineExceeded);
  EXPECT_LT(Clock::now() - start, 10s);
}

Task<int> ignores_stop(std::atomic<bool>* ended) {
  const Context& context = co_await this_context();
  while (!context.stop.stop_requested()) co_await yield();
  *ended = true;
  co_return 1;
}
TEST(WithDeadline, ALateValueIsStillTooLateAndTheTaskWasAwaited) {
  std::atomic<bool> ended{false};
  try {
    sync_wait(with_timeout(ignores_stop(&ended), 2ms));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDeadlineExceeded);
  }
  EXPECT_TRUE(ended);
}

Task<void> fails_after_stop() {
  try {
    co_await sleep_for(1h);
  } catch (const Error&) {
  }
  throw Error(Code::kDataLoss, "half written");
}
TEST(WithDeadline, AnErrorOfTheTasksOwnPasses) {
  EXPECT_EQ(code_of(with_timeout(fails_after_stop(), 2ms)), Code::kDataLoss);
}

TEST(WithDeadline, FollowsTheCallersStop) {
  StopSource stop;
  const Context context{stop.token(), kNever, nullptr};
  std::thread stopper([&] {
    std::this_thread::sleep_for(5ms);
    stop.request_stop(Code::kAborted);
  });
  EXPECT_EQ(code_of(with_timeout(nap(1h), 1h), context), Code::kAborted);
  stopper.join();
}

Task<Time> seen_deadline() {
  const Context& context = co_await this_context();
  co_return context.deadline;
}
TEST(WithDeadline, TheEarlierDeadlineIsInherited) {
  const Time soon = Clock::now() + 10s;
  const Context context{{}, soon, nullptr};
  EXPECT_EQ(sync_wait(with_deadline(seen_deadline(), soon + 1s), context), soon);
  EXPECT_EQ(sync_wait(with_deadline(seen_deadline(), soon - 1s), context), soon - 1s);
  EXPECT_EQ(sync_wait(with_timeout(seen_deadline(), Duration::max()), context), soon);
}

}  // namespace
}  // namespace baozi
