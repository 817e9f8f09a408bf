#include "baozi/coro/task.h"

#include <gtest/gtest.h>

#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"

namespace baozi {
namespace {

Task<int> twice(int x) { co_return 2 * x; }
Task<int> four_times(int x) {
  int y = co_await twice(x);
  int z = co_await twice(y);
  co_return z;
}

TEST(Task, YieldsItsValue) { EXPECT_EQ(sync_wait(four_times(3)), 12); }

Task<int> failing() {
  throw Error(Code::kNotFound, "nothing here");
  co_return 1;
}
Task<int> passing_on() {
  int x = co_await failing();
  co_return x;
}

TEST(Task, ErrorKeepsTheAwaitsItLeft) {
  try {
    sync_wait(passing_on());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
    ASSERT_GE(error.async_stack().size(), 1u);
    EXPECT_NE(std::string(error.async_stack()[0].function_name()).find("passing_on"),
              std::string::npos)
        << error.describe();
    EXPECT_EQ(error.async_stack()[0].line(), 27u);
  }
}

Task<long> sum_of(int n) {
  long sum = 0;
  for (int i = 0; i < n; ++i) {
    int x = co_await twice(i);
    sum += x;
  }
  co_return sum;
}

// The canary of DESIGN.md section 4, rule 7.
TEST(Task, MillionAwaitsDoNotGrowTheStack) {
  EXPECT_EQ(sync_wait(sum_of(1'000'000)), 999'999'000'000L);
}

Task<int> depth(int n) {
  if (n == 0) co_return 0;
  int below = co_await depth(n - 1);
  co_return below + 1;
}
TEST(Task, DeepRecursionReturns) { EXPECT_EQ(sync_wait(depth(100'000)), 100'000); }

Task<void> hop_many(std::atomic<int>* count, int hops) {
  for (int i = 0; i < hops; ++i) co_await yield();
  count->fetch_add(1);
}
Task<void> spawn_many(ThreadPool* pool, std::atomic<int>* count, int n) {
  const Context& context = co_await this_context();
  Nursery nursery(context, *pool);
  for (int i = 0; i < n; ++i) nursery.spawn(hop_many(count, 10));
  co_await nursery.join();
}
TEST(Nursery, RunsAllOnAPool) {
  ThreadPool pool(3);
  std::atomic<int> count{0};
  for (int i = 0; i < 20; ++i) sync_wait(spawn_many(&pool, &count, 1000));
  EXPECT_EQ(count.load(), 20'000);
}

Task<void> on_pool(ThreadPool* pool, std::thread::id* before, std::thread::id* inside) {
  *before = std::this_thread::get_id();
  co_await switch_to(*pool);
  *inside = std::this_thread::get_id();
}
Task<void> caller(ThreadPool* pool, std::thread::id* before, std::thread::id* inside,
                  std::thread::id* after) {
  co_await on_pool(pool, before, inside);
  *after = std::this_thread::get_id();
}
TEST(Task, ResumesOnItsOwnExecutorWhenTheChildMoved) {
  ThreadPool pool(1);
  std::thread::id before, inside, after;
  sync_wait(caller(&pool, &before, &inside, &after));
  EXPECT_EQ(before, after);
  EXPECT_NE(before, inside);
}

}  // namespace
}  // namespace baozi
