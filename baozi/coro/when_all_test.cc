#include "baozi/coro/when_all.h"

#include <gtest/gtest.h>

#include <string>

#include "baozi/coro/lane.h"
#include "baozi/coro/race.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/coro/with_deadline.h"

namespace baozi {
namespace {

using namespace std::chrono_literals;

Task<int> after(Duration span, int value) {
  co_await sleep_for(span);
  co_return value;
}
Task<std::string> text(std::string value) { co_return value; }
Task<void> fail_after(Duration span, Code code) {
  co_await sleep_for(span);
  throw Error(code, "failed as told");
}
Task<void> sleeps_until_stopped(std::atomic<int>* stopped) {
  try {
    co_await sleep_for(1h);
  } catch (const Error&) {
    stopped->fetch_add(1);
    throw;
  }
}
template <class T>
Code code_of(Task<T> task, const Context& context = {}) {
  try {
    sync_wait(std::move(task), context);
  } catch (const Error& error) {
    return error.code();
  }
  return Code::kOk;
}

Task<void> several_kinds(std::atomic<int>* stopped) {
  std::tuple<int, std::string, std::monostate> all = co_await when_all(
      after(1ms, 7), text("seven"), with_timeout(sleeps_until_stopped(stopped), 1h));
  ADD_FAILURE() << std::get<0>(all);
}
Task<void> two_kinds() {
  std::tuple<int, std::string> both = co_await when_all(after(1ms, 7), text("seven"));
  EXPECT_EQ(std::get<0>(both), 7);
  EXPECT_EQ(std::get<1>(both), "seven");
}
TEST(WhenAll, GivesAllResults) { sync_wait(two_kinds()); }

TEST(WhenAll, AStopReachesAllAndIsReported) {
  StopSource stop;
  const Context context{stop.token(), kNever, nullptr};
  std::atomic<int> stopped{0};
  std::thread stopper([&] {
    std::this_thread::sleep_for(10ms);
    stop.request_stop(Code::kAborted);
  });
  EXPECT_EQ(code_of(several_kinds(&stopped), context), Code::kAborted);
  stopper.join();
  EXPECT_EQ(stopped.load(), 1);
}

Task<void> fail_among(std::atomic<int>* stopped) {
  std::vector<Task<void>> tasks;
  for (int i = 0; i < 10; ++i) tasks.push_back(sleeps_until_stopped(stopped));
  tasks.push_back(fail_after(1ms, Code::kDataLoss));
  co_await when_all(std::move(tasks));
}
TEST(WhenAll, TheFirstErrorStopsTheOthersWhichAreAwaited) {
  std::atomic<int> stopped{0};
  EXPECT_EQ(code_of(fail_among(&stopped)), Code::kDataLoss);
  EXPECT_EQ(stopped.load(), 10);
}

Task<int> sum_on(ThreadPool* pool, int n) {
  std::vector<Task<int>> tasks;
  for (int i = 0; i < n; ++i) tasks.push_back(after(std::chrono::microseconds(n - i), i).on(*pool));
  std::vector<int> results = co_await when_all(std::move(tasks));
  int sum = 0;
  for (int i = 0; i < n; ++i) {
    EXPECT_EQ(results[static_cast<std::size_t>(i)], i);
    sum += results[static_cast<std::size_t>(i)];
  }
  co_return sum;
}
TEST(WhenAll, KeepsTheOrderOfAVector) {
  ThreadPool pool(2);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(sync_wait(sum_on(&pool, 100)), 4950);
  EXPECT_EQ(sync_wait(sum_on(&pool, 0)), 0);
}

Task<std::thread::id> where() { co_return std::this_thread::get_id(); }
Task<void> placed(Lane* lane) {
  std::tuple<std::thread::id, std::thread::id> both = co_await when_all(where(), where().on(*lane));
  EXPECT_EQ(std::get<0>(both), std::this_thread::get_id());
  EXPECT_NE(std::get<1>(both), std::this_thread::get_id());
}
TEST(WhenAll, RunsTasksWhereTheyArePlacedAndResumesAtHome) {
  Lane lane("lane");
  for (int i = 0; i < 500; ++i) sync_wait(placed(&lane));
}

Task<void> race_of_two(std::atomic<int>* stopped) {
  std::variant<int, std::monostate> first =
      co_await race(after(1ms, 5), sleeps_until_stopped(stopped));
  EXPECT_EQ(first.index(), 0u);
  EXPECT_EQ(std::get<0>(first), 5);
  EXPECT_EQ(stopped->load(), 1) << "the loser was awaited";
}
TEST(Race, TheFirstWinsAndTheLosersAreStoppedAndAwaited) {
  std::atomic<int> stopped{0};
  sync_wait(race_of_two(&stopped));
}

Task<void> race_with_error() {
  std::variant<std::monostate, int> first =
      co_await race(fail_after(1ms, Code::kNotFound), after(1h, 1));
  ADD_FAILURE() << first.index();
}
TEST(Race, AnErrorThatComesFirstWins) { EXPECT_EQ(code_of(race_with_error()), Code::kNotFound); }

Task<RaceResult<int>> race_many(ThreadPool* pool) {
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 16; ++i)
    tasks.push_back(after(i == 11 ? Duration(0) : Duration(1h), i).on(*pool));
  RaceResult<int> first = co_await race(std::move(tasks));
  co_return first;
}
TEST(Race, AVectorTellsWhoWon) {
  ThreadPool pool(2);
  for (int i = 0; i < 200; ++i) {
    const RaceResult<int> first = sync_wait(race_many(&pool));
    EXPECT_EQ(first.index, 11u);
    EXPECT_EQ(first.value, 11);
  }
}

Task<int> race_close(ThreadPool* pool) {
  std::vector<Task<int>> tasks;
  for (int i = 0; i < 8; ++i)
    tasks.push_back(after(std::chrono::microseconds(100 + i), i).on(*pool));
  RaceResult<int> first = co_await race(std::move(tasks));
  EXPECT_EQ(first.index, static_cast<std::size_t>(first.value));
  co_return first.value;
}
TEST(Race, NearlyEqualFinishersGiveExactlyOneWinner) {
  ThreadPool pool(2);
  for (int i = 0; i < 300; ++i) sync_wait(race_close(&pool));
}

Task<void> empty_race() {
  std::vector<Task<int>> none;
  RaceResult<int> first = co_await race(std::move(none));
  ADD_FAILURE() << first.index;
}
TEST(Race, OfNobodyIsRefused) { EXPECT_EQ(code_of(empty_race()), Code::kInvalidArgument); }

}  // namespace
}  // namespace baozi
