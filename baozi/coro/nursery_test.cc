#include "baozi/coro/nursery.h"

#include <gtest/gtest.h>

#include <string>

#include "baozi/coro/frame_pool.h"
#include "baozi/coro/lane.h"
#include "baozi/coro/sleep.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"

namespace baozi {
namespace {

using namespace std::chrono_literals;

Task<void> sleeps(std::atomic<int>* stopped) {
  try {
    co_await sleep_for(1h);
  } catch (const Error& error) {
    if (error.code() == Code::kCancelled) stopped->fetch_add(1);
    throw;
  }
}
Task<void> fails() {
  co_await sleep_for(1ms);
  throw Error(Code::kDataLoss, "broken");
}
Task<void> fail_among(ThreadPool* pool, std::atomic<int>* stopped) {
  const Context& context = co_await this_context();
  Nursery nursery(context, *pool);
  for (int i = 0; i < 20; ++i) nursery.spawn(sleeps(stopped));
  nursery.spawn(fails());
  co_await nursery.join();
}
TEST(Nursery, TheFirstErrorStopsTheSiblingsAndIsThrown) {
  ThreadPool pool(2);
  std::atomic<int> stopped{0};
  try {
    sync_wait(fail_among(&pool, &stopped));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDataLoss);
  }
  EXPECT_EQ(stopped.load(), 20);
}

TEST(Nursery, AStopOfTheParentReachesTheChildren) {
  ThreadPool pool(2);
  StopSource stop;
  const Context context{stop.token(), kNever, nullptr};
  std::atomic<int> stopped{0};
  std::thread stopper([&] {
    std::this_thread::sleep_for(500us);
    stop.request_stop();
  });
  try {
    sync_wait(fail_among(&pool, &stopped), context);
    FAIL();
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == Code::kCancelled || error.code() == Code::kDataLoss);
  }
  stopper.join();
  EXPECT_EQ(stopped.load(), 20);
}

Task<void> nothing() { co_return; }
Task<void> again_and_again(ThreadPool* pool) {
  Nursery nursery(*pool);
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 10; ++i) nursery.spawn(nothing());
    co_await nursery.join();
    EXPECT_EQ(nursery.running(), 0u);
  }
}
TEST(Nursery, MayBeUsedAgainAfterJoin) {
  ThreadPool pool(2);
  sync_wait(again_and_again(&pool));
}

Task<void> sees(Context expected, std::atomic<int>* right) {
  const Context& mine = co_await this_context();
  if (mine.deadline == expected.deadline && mine.trace == expected.trace &&
      mine.stop.stop_possible())
    ++*right;
}
Task<void> grandparent(ThreadPool* pool, std::atomic<int>* right) {
  const Context& context = co_await this_context();
  co_await sees(context, right);
  Nursery nursery(context, *pool);
  nursery.spawn(sees(context, right));
  co_await nursery.join();
}
TEST(Nursery, ChildrenInheritDeadlineAndTraceAndStop) {
  ThreadPool pool(1);
  StopSource stop;
  RequestTrace request;
  const Context context{stop.token(), Clock::now() + 1h, &request};
  std::atomic<int> right{0};
  sync_wait(grandparent(&pool, &right), context);
  EXPECT_EQ(right.load(), 2);
}

Task<int> deepest(Lane* lane) {
  co_await switch_to(*lane);
  throw Error(Code::kInternal, "deep down");
  co_return 1;
}
Task<int> between(ThreadPool* pool, Lane* lane) {
  co_await switch_to(*pool);
  int x = co_await deepest(lane);  // line: between
  co_return x;
}
Task<int> top(ThreadPool* pool, Lane* lane) {
  int x = co_await between(pool, lane);
  co_return x;
}
TEST(Task, TheAsyncStackOfAnErrorSpansThreads) {
  ThreadPool pool(1);
  Lane lane("lane");
  try {
    sync_wait(top(&pool, &lane));
    FAIL();
  } catch (const Error& error) {
    ASSERT_GE(error.async_stack().size(), 2u) << error.describe();
    EXPECT_NE(std::string(error.async_stack()[0].function_name()).find("between"),
              std::string::npos);
    EXPECT_NE(std::string(error.async_stack()[1].function_name()).find("top"), std::string::npos);
  }
}

Task<void> yields(int times) {
  for (int i = 0; i < times; ++i) co_await yield();
}
Task<void> two_yield() {
  const Context& context = co_await this_context();
  Executor& here = co_await this_executor();
  Nursery nursery(context, here);
  nursery.spawn(yields(500'000));
  nursery.spawn(yields(500'000));
  co_await nursery.join();
}
// The canary of DESIGN.md section 4, rule 7, through yield.
TEST(Task, AMillionYieldsDoNotGrowTheStack) { sync_wait(two_yield()); }

// --- Stop

TEST(Stop, ACallbackIsNotDestroyedWhileItRunsElsewhere) {
  for (int round = 0; round < 2000; ++round) {
    StopSource source;
    std::atomic<int> state{0};
    std::thread stopper([&] { source.request_stop(); });
    {
      struct Touch {
        std::atomic<int>* touched;
        void operator()() noexcept {
          touched->store(1);
          touched->store(2);
        }
      };
      const StopCallback<Touch> callback(source.token(), Touch{&state});
    }
    EXPECT_NE(state.exchange(3), 1) << "the destructor came back during the callback";
    stopper.join();
    EXPECT_EQ(state.load(), 3) << "the callback ran after its destructor";
  }
}
TEST(Stop, TheFirstReasonStays) {
  StopSource source;
  EXPECT_TRUE(source.request_stop(Code::kDeadlineExceeded));
  EXPECT_FALSE(source.request_stop(Code::kCancelled));
  EXPECT_EQ(source.reason(), Code::kDeadlineExceeded);
  EXPECT_THROW(throw_if_stopped(source.token()), Error);
}

// --- Frame pool

TEST(FramePool, ReusesWhatWasFreed) {
  if (!frame_pool::kPooled) GTEST_SKIP() << "frames come from the heap under AddressSanitizer";
  void* first = frame_pool::allocate(200);
  frame_pool::deallocate(first, 200);
  void* second = frame_pool::allocate(210);  // of the same size class
  EXPECT_EQ(first, second);
  frame_pool::deallocate(second, 210);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 16, 0u);
}

TEST(FramePool, FramesFreedOnOtherThreadsComeBack) {
  if (!frame_pool::kPooled) GTEST_SKIP() << "frames come from the heap under AddressSanitizer";
  constexpr std::size_t kSize = 480;
  constexpr int kFrames = 2000;
  std::size_t after_first = 0;
  for (int round = 0; round < 100; ++round) {
    std::vector<void*> frames;
    for (int i = 0; i < kFrames; ++i) frames.push_back(frame_pool::allocate(kSize));
    std::thread([&] {
      for (void* frame : frames) frame_pool::deallocate(frame, kSize);
    }).join();
    if (round == 0) after_first = frame_pool::slab_bytes();
  }
  EXPECT_EQ(frame_pool::slab_bytes(), after_first)
      << "every frame of a round is there for the next";
}

TEST(FramePool, LargeFramesWorkToo) {
  void* large = frame_pool::allocate(100'000);
  EXPECT_NE(large, nullptr);
  frame_pool::deallocate(large, 100'000);
}

}  // namespace
}  // namespace baozi
