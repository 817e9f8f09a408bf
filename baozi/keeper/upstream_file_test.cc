#include "baozi/keeper/upstream_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <iterator>

#include "baozi/base/error.h"

namespace baozi::keeper {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Result = UpstreamFile::Result;

// "nginx" is a script that keeps a list of its calls; its test refuses what holds "bad".
class UpstreamFileTest : public ::testing::Test {
 protected:
  UpstreamFileTest() {
    std::string name = (fs::temp_directory_path() / "baozi-test-XXXXXX").string();
    folder = ::mkdtemp(name.data());
  }
  ~UpstreamFileTest() override { fs::remove_all(folder); }

  UpstreamFile file(const std::string& reload = "echo reload >> ") const {
    const std::string calls = (folder / "calls").string();
    return UpstreamFile(
        path(), {.test = {"sh", "-c", "echo test >> " + calls + "; ! grep bad " + path().string()},
                 .reload = {"sh", "-c", reload + calls}});
  }
  fs::path path() const { return folder / "up.conf"; }
  fs::path before() const { return folder / "up.conf.before"; }
  std::string text(const fs::path& of) const {
    std::ifstream file(of, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  void write(const fs::path& to, const std::string& what) const { std::ofstream(to) << what; }
  std::string calls() const { return text(folder / "calls"); }

  fs::path folder;
};

TEST_F(UpstreamFileTest, AChangeIsTestedThenReloaded) {
  UpstreamFile mine = file();
  EXPECT_EQ(mine.in_force(), std::nullopt);
  EXPECT_EQ(mine.change("one").result, Result::kDone);
  EXPECT_EQ(calls(), "test\nreload\n");
  EXPECT_TRUE(mine.holds("one"));
  EXPECT_FALSE(fs::exists(before()));
  EXPECT_EQ(file().in_force(), "one");
}

TEST_F(UpstreamFileTest, WhatTheTestRefusesIsTakenBack) {
  UpstreamFile mine = file();
  mine.change("one");
  const UpstreamFile::Change change = mine.change("bad");
  EXPECT_EQ(change.result, Result::kRefused);
  EXPECT_THAT(change.why, HasSubstr("bad"));
  EXPECT_EQ(text(path()), "one");
  EXPECT_FALSE(fs::exists(before()));
  EXPECT_EQ(calls(), "test\nreload\ntest\n");
}

TEST_F(UpstreamFileTest, WithoutAnOldTextAnEmptyOneIsLeft) {
  EXPECT_EQ(file().change("bad").result, Result::kRefused);
  EXPECT_EQ(text(path()), "");
  EXPECT_TRUE(fs::exists(path()));
}

TEST_F(UpstreamFileTest, AReloadThatFailsLeavesAMarkForTheNextStart) {
  file().change("one");
  UpstreamFile mine = file("exit 1 # ");
  EXPECT_EQ(mine.change("two").result, Result::kNotReloaded);
  EXPECT_EQ(text(path()), "two");
  EXPECT_EQ(file().in_force(), std::nullopt);
  EXPECT_EQ(file().change("two").result, Result::kDone);
  EXPECT_EQ(file().in_force(), "two");
}

TEST_F(UpstreamFileTest, WhoWasKilledInTheMiddleIsPutRightByTheNext) {
  write(path(), "bad from the one that was killed");
  write(before(), "good");
  UpstreamFile mine = file();
  EXPECT_EQ(mine.in_force(), std::nullopt);
  EXPECT_EQ(mine.change("bad, too").result, Result::kRefused);
  EXPECT_EQ(text(path()), "good");
  EXPECT_EQ(mine.change("better").result, Result::kDone);
  EXPECT_EQ(mine.in_force(), "better");
}

TEST_F(UpstreamFileTest, WhatCannotBeAnUpstreamFileIsNotTouched) {
  write(path(), std::string(2 << 20, 'x'));
  UpstreamFile mine = file();
  EXPECT_THROW(mine.change("one"), Error);
  EXPECT_EQ(fs::file_size(path()), 2u << 20);
  EXPECT_FALSE(mine.holds("one"));
  EXPECT_THROW(UpstreamFile(folder, {}), Error);
}

}  // namespace
}  // namespace baozi::keeper
