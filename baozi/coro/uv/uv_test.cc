#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "baozi/coro/nursery.h"
#include "baozi/coro/this_task.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/coro/uv/uv_await.h"
#include "baozi/coro/with_deadline.h"

namespace baozi {
namespace {

using namespace std::chrono_literals;

// Runs a task on a libuv loop of its own, on this thread.
class UvLoop {
 public:
  UvLoop() {
    uv_loop_init(&loop_);
    executor_.emplace(loop_);
  }
  ~UvLoop() {
    executor_.reset();
    EXPECT_EQ(uv_loop_close(&loop_), 0) << "handles are left open";
  }
  UvExecutor& executor() { return *executor_; }

  Code run(Task<void> task) {
    Code code = Code::kOk;
    Nursery nursery(*executor_);
    nursery.spawn(drive(std::move(task), executor_.operator->(), &code));
    uv_run(&loop_,
           UV_RUN_DEFAULT);  // comes back when the task has ended, so there is nothing to join
    EXPECT_EQ(nursery.running(), 0u);
    return code;
  }

 private:
  static Task<void> drive(Task<void> task, UvExecutor* executor, Code* code) {
    try {
      co_await std::move(task);
    } catch (const Error& error) {
      *code = error.code();
    }
    executor->release();
  }

  uv_loop_t loop_{};
  std::optional<UvExecutor> executor_;
};

Task<void> naps(int* count) {
  const Time start = Clock::now();
  for (int i = 0; i < 3; ++i) {
    co_await uv_sleep_for(4ms);
    ++*count;
  }
  EXPECT_GE(Clock::now() - start, 11ms);
}
TEST(Uv, TimersResumeOnTheLoop) {
  UvLoop loop;
  int count = 0;
  EXPECT_EQ(loop.run(naps(&count)), Code::kOk);
  EXPECT_EQ(count, 3);
}

Task<void> long_nap() {
  co_await uv_sleep_for(1h);
}
TEST(Uv, ADeadlineEndsATimer) {
  UvLoop loop;
  EXPECT_EQ(loop.run(with_timeout(long_nap(), 5ms)), Code::kDeadlineExceeded);
}

struct Square {
  int* value;
  std::thread::id* where;
  void operator()() const {
    *value *= *value;
    *where = std::this_thread::get_id();
  }
};
struct Throw {
  void operator()() const { throw Error(Code::kDataLoss, "bad bytes"); }
};
Task<void> some_work(int* value) {
  std::thread::id where;
  const auto here = std::this_thread::get_id();
  co_await uv_work(Square{value, &where});
  EXPECT_NE(where, here);
  EXPECT_EQ(std::this_thread::get_id(), here);
  co_await uv_work(Throw{});
}
TEST(Uv, WorkRunsOnLibuvsThreadsAndItsErrorIsThrown) {
  UvLoop loop;
  int value = 12;
  EXPECT_EQ(loop.run(some_work(&value)), Code::kDataLoss);
  EXPECT_EQ(value, 144);
}

Task<void> read(std::string path, std::string* text) {
  *text = co_await uv_read_file(std::move(path));
}
TEST(Uv, ReadsAWholeFile) {
  const std::string path = testing::TempDir() + "uv_read_test.txt";
  std::string written;
  for (int i = 0; i < 100'000; ++i) written += std::to_string(i) + '\n';
  std::ofstream(path) << written;
  UvLoop loop;
  std::string text;
  EXPECT_EQ(loop.run(read(path, &text)), Code::kOk);
  EXPECT_EQ(text, written);
  std::remove(path.c_str());
}
TEST(Uv, AMissingFileIsNotFound) {
  UvLoop loop;
  std::string text;
  EXPECT_EQ(loop.run(read("/nowhere/at/all", &text)), Code::kNotFound);
}

Task<void> hop(UvExecutor* uv, ThreadPool* pool, int* count) {
  for (int i = 0; i < 5000; ++i) {
    co_await switch_to(*pool);
    co_await switch_to(*uv);
    ++*count;
  }
}
TEST(Uv, HopsBetweenALoopAndAPoolLoseNoWakeUp) {
  ThreadPool pool(1);
  UvLoop loop;
  int count = 0;
  EXPECT_EQ(loop.run(hop(&loop.executor(), &pool, &count)), Code::kOk);
  EXPECT_EQ(count, 5000);
}

Task<void> nap_elsewhere(ThreadPool* pool) {
  co_await switch_to(*pool);
  co_await uv_sleep_for(1ms);
}
TEST(Uv, ElsewhereThanOnItsLoopIsRefused) {
  ThreadPool pool(1);
  UvLoop loop;
  EXPECT_EQ(loop.run(nap_elsewhere(&pool)), Code::kFailedPrecondition);
}

}  // namespace
}  // namespace baozi
