#include "baozi/serve/start_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "baozi/base/error.h"
#include "baozi/engine/scratch_folder.h"

namespace baozi::serve {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

const StartRecord::SystemTime kNow{seconds(1'800'000'000)};

class StartRecordTest : public testing::Test {
 protected:
  void write(const std::string& text) { std::ofstream(file_) << text; }
  std::string text() const {
    std::ifstream stream(file_);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  engine::ScratchFolder folder_;
  const std::filesystem::path file_ = folder_.path() / "deep/starts.yaml";
};

TEST_F(StartRecordTest, RemembersFromOneStartToTheNext) {
  {
    StartRecord record(file_, kNow);
    record.used("a \"quoted\"\nname: [x]", 40);
    record.used("b", 3);
    record.loaded("b", milliseconds(250), 7000);
    record.save(kNow);
  }
  const StartRecord next(file_, kNow);
  EXPECT_DOUBLE_EQ(next.uses("a \"quoted\"\nname: [x]"), 40);
  EXPECT_EQ(next.load_time("b"), milliseconds(250));
  EXPECT_EQ(next.bytes("b"), 7000u);
  EXPECT_EQ(next.uses("never"), 0);
  EXPECT_EQ(next.load_time("never"), Duration::zero());
}

TEST_F(StartRecordTest, UsesDecayByHalfADay) {
  StartRecord record(file_, kNow);
  record.used("m", 100);
  record.save(kNow);
  EXPECT_NEAR(StartRecord(file_, kNow + hours(24)).uses("m"), 50, 0.01);
  EXPECT_NEAR(StartRecord(file_, kNow + hours(72)).uses("m"), 12.5, 0.01);
  EXPECT_EQ(StartRecord(file_, kNow + hours(24 * 60)).uses("m"), 0);
  EXPECT_NEAR(StartRecord(file_, kNow - hours(24)).uses("m"), 100, 0.01) << "a clock set back";
}

TEST_F(StartRecordTest, AFileThatCannotBeReadIsAsGoodAsNone) {
  StartRecord(file_, kNow).save(kNow);  // makes the folder
  for (const char* text :
       {"", "garbage: [", "version: 2\nsaved: 1\nmodels: []", "version: 1", "[]",
        "version: 1\nsaved: 1\nmodels: [{name: m, uses: -1, load_ms: 1, bytes: 1}]",
        "version: 1\nsaved: 1\nmodels: [{name: m, uses: .nan, load_ms: 1, bytes: 1}]",
        "version: 1\nsaved: 1\nmodels: [{name: m, uses: 1, load_ms: 999999999999, bytes: 1}]",
        "version: 1\nsaved: 1\nmodels: [{name: m, uses: 1, load_ms: 1, bytes: 1}, {name: n}]"}) {
    write(text);
    StartRecord record(file_, kNow);
    EXPECT_EQ(record.uses("m"), 0) << text;
    record.used("m", 1);
    record.save(kNow);
    EXPECT_NEAR(StartRecord(file_, kNow).uses("m"), 1, 0.01) << text;
  }
}

TEST_F(StartRecordTest, WithoutAFileNothingIsRemembered) {
  StartRecord record("", kNow);
  record.used("m", 5);
  EXPECT_EQ(record.uses("m"), 5);
  record.save(kNow);
}

TEST_F(StartRecordTest, AFolderThatCannotBeWrittenIsAnErrorAndLeavesNothing) {
  StartRecord record("/proc/nowhere/starts.yaml", kNow);
  EXPECT_THROW(record.save(kNow), Error);
}

TEST_F(StartRecordTest, EachConfigHasItsOwn) {
  ::setenv("XDG_STATE_HOME", "/var/tmp/state", 1);
  EXPECT_NE(default_start_record("/a/baozi.yaml"), default_start_record("/b/baozi.yaml"));
  EXPECT_EQ(default_start_record("/a/x/../baozi.yaml"), default_start_record("/a/baozi.yaml"));
  ::unsetenv("XDG_STATE_HOME");
}

}  // namespace
}  // namespace baozi::serve
