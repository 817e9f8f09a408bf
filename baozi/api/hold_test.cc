#include "baozi/api/hold.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "baozi/api/test_language_servable.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/thread_pool.h"

namespace baozi::api {
namespace {

using model::State;
using std::chrono::milliseconds;
using testing::HasSubstr;

Code code_of(Hold& hold, Time deadline = kNever) {
  try {
    sync_wait(hold.wait("slow", "", deadline));
  } catch (const Error& error) {
    EXPECT_EQ(hold.held(), 0u) << "its place is free again";
    return error.code();
  }
  return Code::kOk;
}

class HoldTest : public testing::Test {
 protected:
  HoldTest() { repository_.set_status({"slow", "1", State::kLoading, ""}); }

  model::Repository repository_;
};

TEST_F(HoldTest, WaitsUntilTheModelIsThere) {
  Hold hold(repository_, {});
  std::thread loads([&] {
    while (hold.held() == 0) std::this_thread::yield();
    repository_.add(std::make_shared<FakeLanguage>("slow"));
  });
  EXPECT_EQ(code_of(hold), Code::kOk);
  loads.join();
}

TEST_F(HoldTest, NotLongerThanItSays) {
  Hold hold(repository_, {.timeout = milliseconds(10)});
  EXPECT_EQ(code_of(hold), Code::kUnavailable) << "come again";
  EXPECT_EQ(code_of(hold, Clock::now() + milliseconds(1)), Code::kDeadlineExceeded)
      << "the request's own deadline";
}

TEST_F(HoldTest, NoMoreThanItSays) {
  Hold nobody(repository_, {.requests_max = 0});
  EXPECT_EQ(code_of(nobody), Code::kUnavailable);
}

Task<void> count(Hold* hold, std::atomic<int>* refused) {
  Task<std::shared_ptr<model::Servable>> waiting = hold->wait("slow", "", kNever);
  try {
    co_await std::move(waiting);
  } catch (const Error&) {
    ++*refused;
  }
}

Task<void> join(Nursery* nursery) {
  co_await nursery->join();
}

TEST_F(HoldTest, ThoseBeyondAreRefusedAtOnceAndTheOthersServed) {
  Hold hold(repository_, {.requests_max = 3});
  ThreadPool pool(2, "test");
  Nursery nursery(pool);
  std::atomic<int> refused{0};
  for (int i = 0; i < 10; ++i) nursery.spawn(count(&hold, &refused));
  while (refused < 7) std::this_thread::yield();
  repository_.add(std::make_shared<FakeLanguage>("slow"));
  sync_wait(join(&nursery));
  EXPECT_EQ(refused, 7);
}

TEST_F(HoldTest, SaysWhenToComeAgain) {
  const auto seconds = [&] {
    try {
      (void)repository_.find("slow", "");
    } catch (const Error& error) {
      return retry_after_s(error);
    }
    return -1;
  };
  EXPECT_EQ(seconds(), 1) << "nobody knows";
  repository_.set_estimate("slow", "1", Clock::now() + std::chrono::seconds(42));
  EXPECT_EQ(seconds(), 42);
  repository_.set_estimate("slow", "1", Clock::now() + std::chrono::hours(42));
  EXPECT_EQ(seconds(), 600);
  repository_.set_status({"slow", "1", State::kFailed, "torn"});
  EXPECT_EQ(seconds(), 0) << "no waiting mends it";
  EXPECT_EQ(retry_after_s(Error(Code::kResourceExhausted, "full")), 1);
  EXPECT_EQ(retry_after_s(Error(Code::kInvalidArgument, "wrong")), 0);
}

}  // namespace
}  // namespace baozi::api
