#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "baozi/base/error.h"
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
  repository.set_status({"m", "1", State::kUnloaded, ""});
  EXPECT_EQ(held.use_count(), 1);
  EXPECT_EQ(error_of([&] { repository.find("m", "1"); }).code(), Code::kUnavailable);
}

TEST(Repository, StateNamesAreKServes) {
  EXPECT_EQ(state_name(State::kReady), "READY");
  EXPECT_EQ(state_name(State::kFailed), "FAILED");
}

}  // namespace
}  // namespace baozi::model
