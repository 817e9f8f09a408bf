#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "baozi/base/error.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/sync_wait.h"
#include "baozi/coro/thread_pool.h"
#include "baozi/coro/with_deadline.h"
#include "baozi/model/repository.h"
#include "baozi/model/servable.h"

namespace baozi::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Named final : public Servable {
 public:
  Named(std::string name, std::string version)
      : name_(std::move(name)), version_(std::move(version)) {}
  const std::string& name() const noexcept override { return name_; }
  const std::string& version() const noexcept override { return version_; }
  std::string_view platform() const noexcept override { return "test"; }
  const engine::Signature& signature() const noexcept override { return signature_; }
  const std::vector<std::string>& labels() const noexcept override { return labels_; }
  bool ready() const noexcept override { return true; }
  Statistics statistics() const override { return {}; }
  Task<InferResponse> infer(InferRequest) override { co_return InferResponse{}; }

 private:
  std::string name_;
  std::string version_;
  engine::Signature signature_;
  std::vector<std::string> labels_;
};

void add(Repository& repository, const char* name, const char* version) {
  repository.add(std::make_shared<Named>(name, version));
}

Error error_of(auto&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return Error(Code::kOk, "nothing was thrown");
}

std::vector<std::string> versions_of(const Repository& repository, const char* name) {
  std::vector<std::string> names;
  for (const VersionStatus& status : repository.versions(name)) names.push_back(status.version);
  return names;
}

Task<void> join(Nursery* nursery) { co_await nursery->join(); }

Task<void> ask(Repository* repository, std::atomic<int>* served, std::atomic<int>* left,
               Time deadline) {
  Task<std::shared_ptr<Servable>> waiting = with_deadline(repository->wait("m", ""), deadline);
  try {
    co_await std::move(waiting);
    ++*served;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDeadlineExceeded);
    ++*left;
  }
}

TEST(Repository, OrdersVersionsByNumber) {
  Repository repository;
  for (const char* version : {"10", "9", "beta", "2", "010", "100000000000000000000"}) {
    add(repository, "m", version);
  }
  EXPECT_THAT(versions_of(repository, "m"),
              ElementsAre("2", "9", "010", "10", "100000000000000000000", "beta"));
}

TEST(Repository, EmptyVersionMeansTheHighestThatIsReady) {
  Repository repository;
  add(repository, "m", "2");
  add(repository, "m", "9");
  repository.set_status({"m", "10", State::kLoading, ""});
  EXPECT_EQ(repository.find("m", "")->version(), "9");
  EXPECT_EQ(repository.find("m", "2")->version(), "2");
  EXPECT_FALSE(repository.ready());
  add(repository, "m", "10");
  EXPECT_EQ(repository.find("m", "")->version(), "10");
  EXPECT_TRUE(repository.ready());
}

// It is proved, and who waits for it need not wait until it is hot.
TEST(Repository, AVersionThatWarmsUpAnswersButIsNotReady) {
  Repository repository;
  repository.add(std::make_shared<Named>("m", "2"), State::kWarming);
  EXPECT_EQ(repository.find("m", "")->version(), "2");
  EXPECT_EQ(repository.find("m", "2")->version(), "2");
  EXPECT_EQ(repository.readiness(), Readiness::kStarting);
  repository.set_progress("m", "2", 0.5);
  repository.set_progress("m", "3", 0.5);
  repository.set_progress("n", "1", 0.5);
  EXPECT_EQ(repository.index().front().progress, 0.5);
  EXPECT_EQ(repository.index().size(), 1u);
  add(repository, "m", "1");
  EXPECT_EQ(repository.find("m", "")->version(), "1") << "the one that is ready goes first";
  repository.set_status({"m", "2", State::kFailed, "NaN"});
  EXPECT_THAT(error_of([&] { repository.find("m", "2"); }).message(), HasSubstr("NaN"));
}

TEST(Repository, ReadinessOfAllTogether) {
  Repository repository;
  EXPECT_EQ(repository.readiness(), Readiness::kStarting);
  repository.set_status({"bad", "1", State::kFailed, "torn"});
  EXPECT_EQ(repository.readiness(), Readiness::kFailed);
  repository.set_status({"m", "1", State::kLoading, ""});
  EXPECT_EQ(repository.readiness(), Readiness::kStarting);
  add(repository, "m", "1");
  EXPECT_EQ(repository.readiness(), Readiness::kDegraded);
  repository.set_status({"bad", "1", State::kUnloaded, ""});
  EXPECT_EQ(repository.readiness(), Readiness::kReady);
  EXPECT_EQ(readiness_name(Readiness::kDegraded), "degraded");
}

TEST(Repository, ErrorsNameWhatThereIs) {
  Repository repository;
  EXPECT_EQ(error_of([&] { repository.find("m", ""); }).code(), Code::kNotFound);
  EXPECT_FALSE(repository.ready());
  add(repository, "ocr", "1");
  add(repository, "m", "3");
  const Error unknown = error_of([&] { repository.find("n", ""); });
  EXPECT_EQ(unknown.code(), Code::kNotFound);
  EXPECT_THAT(unknown.message(), HasSubstr("m, ocr"));
  const Error version = error_of([&] { repository.find("m", "4"); });
  EXPECT_EQ(version.code(), Code::kNotFound);
  EXPECT_THAT(version.message(), HasSubstr("there are: 3"));
}

TEST(Repository, SaysWhyAVersionIsNotReady) {
  Repository repository;
  repository.set_status({"m", "1", State::kFailed, "the file is damaged"});
  for (const char* version : {"", "1"}) {
    const Error error = error_of([&] { repository.find("m", version); });
    EXPECT_EQ(error.code(), Code::kUnavailable);
    EXPECT_THAT(error.message(), HasSubstr("the file is damaged"));
  }
}

TEST(Repository, LetsGoOfAnUnloadedServableAndKeepsTheHoldersOwn) {
  Repository repository;
  add(repository, "m", "1");
  const std::shared_ptr<Servable> held = repository.find("m", "1");
  repository.set_status({"m", "1", State::kDraining, ""});
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_EQ(error_of([&] { repository.find("m", "1"); }).code(), Code::kUnavailable);
}

TEST(Repository, RefusesAMoveThatIsNotInTheTable) {
  Repository repository;
  add(repository, "m", "1");
  const Error error = error_of([&] { repository.set_status({"m", "1", State::kUnloaded, ""}); });
  EXPECT_EQ(error.code(), Code::kInternal);
  EXPECT_THAT(error.message(), HasSubstr("from READY to UNLOADED"));
  EXPECT_EQ(repository.find("m", "")->version(), "1") << "nothing has changed";
}

TEST(Repository, WhatIsLoadedOnDemandKeepsNobodyWaiting) {
  Repository repository;
  repository.set_status({.name = "rare", .version = "1", .on_demand = true});
  EXPECT_EQ(repository.readiness(), Readiness::kReady);
  repository.set_status({.name = "next", .version = "1"});
  EXPECT_EQ(repository.readiness(), Readiness::kStarting);
}

TEST(Repository, EstimatesWhatIsComing) {
  Repository repository;
  repository.set_status({"m", "1", State::kLoading, ""});
  EXPECT_LT(repository.index().front().seconds_left, 0) << "nobody knows";
  repository.set_estimate("m", "1", Clock::now() + std::chrono::seconds(100));
  const VersionStatus status = repository.index().front();
  EXPECT_NEAR(status.seconds_left, 100, 5);
  EXPECT_NEAR(status.progress, 0, 0.05);
  EXPECT_THAT(error_of([&] { repository.find("m", ""); }).message(), HasSubstr("in about"));
  repository.set_estimate("m", "1", Clock::now() - std::chrono::seconds(1));
  EXPECT_EQ(repository.index().front().seconds_left, 0);
  EXPECT_EQ(repository.index().front().progress, 0.99) << "it is not there yet";
  add(repository, "m", "1");
  EXPECT_EQ(repository.index().front().progress, 1);
}

TEST(Repository, LabelsStandForVersions) {
  Repository repository;
  add(repository, "m", "1");
  EXPECT_EQ(error_of([&] { repository.version_of("m", "stable"); }).code(), Code::kNotFound);
  repository.set_labels("m", {{"stable", "1"}, {"canary", "2"}});
  EXPECT_EQ(repository.version_of("m", "stable"), "1");
  EXPECT_THAT(error_of([&] { repository.version_of("m", "beta"); }).message(),
              HasSubstr("there are: canary, stable"));
}

TEST(Repository, CountsWhoAsks) {
  Repository repository;
  add(repository, "m", "1");
  EXPECT_EQ(repository.last_asked("m"), Time::min());
  const Time before = Clock::now();
  for (int i = 0; i < 3; ++i) (void)repository.find("m", "");
  EXPECT_GE(repository.last_asked("m"), before);
  EXPECT_EQ(repository.asked("m"), 3u);
  EXPECT_EQ(repository.peek("m", "1")->version(), "1");
  EXPECT_EQ(repository.peek("m", "")->version(), "1");
  EXPECT_EQ(repository.peek("m", "2"), nullptr);
  EXPECT_EQ(repository.peek("n", ""), nullptr);
  EXPECT_EQ(repository.asked("m"), 3u) << "the curious do not count";
  EXPECT_EQ(repository.asked("n"), 0u);
}

// ---- Waiting

TEST(RepositoryWait, GivesAtOnceWhatIsThere) {
  Repository repository;
  add(repository, "m", "1");
  EXPECT_EQ(sync_wait(repository.wait("m", ""))->version(), "1");
}

TEST(RepositoryWait, EveryoneGetsItWhenItIsThereAndWhoLeavesEndsNothing) {
  Repository repository;
  repository.set_status({"m", "1", State::kLoading, ""});
  ThreadPool pool(2, "test");
  Nursery nursery(pool);
  std::atomic<int> served{0};
  std::atomic<int> left{0};
  for (int i = 0; i < 50; ++i) nursery.spawn(ask(&repository, &served, &left, kNever));
  for (int i = 0; i < 50; ++i) {
    nursery.spawn(ask(&repository, &served, &left, Clock::now() + std::chrono::milliseconds(5)));
  }
  while (left < 50) std::this_thread::yield();
  EXPECT_EQ(served, 0);
  add(repository, "m", "1");
  sync_wait(join(&nursery));
  EXPECT_EQ(served, 50);
}

TEST(RepositoryWait, SaysWhyWhenItFails) {
  Repository repository;
  repository.set_status({"m", "1", State::kLoading, ""});
  std::thread fails([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    repository.set_status({"m", "1", State::kFailed, "the file is damaged"});
  });
  const Error error = error_of([&] { sync_wait(repository.wait("m", "1")); });
  fails.join();
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_THAT(error.message(), HasSubstr("the file is damaged"));
  EXPECT_EQ(error_of([&] { sync_wait(repository.wait("m", "1")); }).code(), Code::kUnavailable);
}

TEST(RepositoryWait, AForgottenVersionLetsItsWaitersGo) {
  Repository repository;
  add(repository, "m", "1");
  repository.set_status({"m", "2", State::kLoading, ""});
  std::thread forgets([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    repository.forget("m", "2");
  });
  EXPECT_EQ(error_of([&] { sync_wait(repository.wait("m", "2")); }).code(), Code::kNotFound);
  forgets.join();
}

TEST(RepositoryWait, TellsThatAnAbsentOneIsWanted) {
  Repository repository;
  std::vector<std::string> wanted;
  repository.on_wanted([&](const std::string& name, const std::string& version) {
    wanted.push_back(name + "/" + version);
    add(repository, name.c_str(), version.c_str());
  });
  repository.set_status({.name = "m", .version = "3"});
  EXPECT_EQ(sync_wait(repository.wait("m", ""))->version(), "3");
  EXPECT_THAT(wanted, ElementsAre("m/3"));
}

TEST(RepositoryWait, SaysWhetherSomebodyWaits) {
  Repository repository;
  EXPECT_FALSE(repository.awaited("m", "1")) << "nobody knows it";
  repository.set_status({"m", "1", State::kLoading, ""});
  EXPECT_FALSE(repository.awaited("m", "1"));
  std::thread waits([&] { sync_wait(repository.wait("m", "1")); });
  while (!repository.awaited("m", "1")) std::this_thread::yield();
  EXPECT_FALSE(repository.awaited("m", "2"));
  add(repository, "m", "1");
  waits.join();
  EXPECT_FALSE(repository.awaited("m", "1")) << "it is there";
}

TEST(Repository, StateNamesAreKServes) {
  EXPECT_EQ(state_name(State::kReady), "READY");
  EXPECT_EQ(state_name(State::kFailed), "FAILED");
}

}  // namespace
}  // namespace baozi::model
