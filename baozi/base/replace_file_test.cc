#include "baozi/base/replace_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "baozi/base/error.h"

namespace baozi {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ReplaceFileTest : public testing::Test {
 protected:
  ReplaceFileTest() {
    std::string name = (fs::temp_directory_path() / "baozi-replace-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~ReplaceFileTest() override { fs::remove_all(folder_); }

  static std::string text_of(const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  std::ptrdiff_t files() const { return std::distance(fs::directory_iterator(folder_), {}); }

  static Error error_of(const fs::path& path, std::string_view text) {
    try {
      replace_file(path, {text});
    } catch (const Error& error) {
      return error;
    }
    return Error(Code::kOk, "nothing was thrown");
  }

  fs::path folder_;
};

TEST_F(ReplaceFileTest, ThePiecesAreTheFileAndNothingElseIsThere) {
  const fs::path path = folder_ / "starts";
  replace_file(path, {"one, ", "two"});
  EXPECT_EQ(text_of(path), "one, two");
  replace_file(path, {"three"});
  EXPECT_EQ(text_of(path), "three");
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(files(), 1);
}

TEST_F(ReplaceFileTest, TheFolderIsMade) {
  replace_file(folder_ / "a/b/c", {"text"}, {.mode = 0640, .flush = false});
  EXPECT_EQ(text_of(folder_ / "a/b/c"), "text");
  EXPECT_TRUE((fs::status(folder_ / "a/b/c").permissions() & fs::perms::group_read) ==
              fs::perms::group_read);
}

TEST_F(ReplaceFileTest, WhoeverReadsItMeanwhileHasTheOldOne) {
  const fs::path path = folder_ / "starts";
  replace_file(path, {"old"});
  std::ifstream reader(path);
  replace_file(path, {"new"});
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(reader), {}), "old");
}

TEST_F(ReplaceFileTest, AFullDiskLeavesWhatWasThere) {
  const fs::path path = folder_ / "starts";
  replace_file(path, {"old"});
  // A limit on the size of files stands in for a full disk.
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 1000;
  ::setrlimit(RLIMIT_FSIZE, &small);
  const Error error = error_of(path, std::string(2000, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(error.code(), Code::kResourceExhausted);
  EXPECT_THAT(error.message(), HasSubstr(path.string()));
  EXPECT_THAT(error.message(), HasSubstr("make room"));
  EXPECT_EQ(text_of(path), "old");
  EXPECT_EQ(files(), 1);
}

TEST_F(ReplaceFileTest, AFolderThatCannotBeWrittenIsNamed) {
  const Error error = error_of("/proc/nowhere/starts", "text");
  EXPECT_THAT(error.message(), HasSubstr("cannot write /proc/nowhere/starts: "));
  if (::geteuid() == 0) return;  // root may write anywhere
  fs::permissions(folder_, fs::perms::owner_read | fs::perms::owner_exec);
  const Error denied = error_of(folder_ / "starts", "text");
  fs::permissions(folder_, fs::perms::owner_all);
  EXPECT_EQ(denied.code(), Code::kPermissionDenied);
  EXPECT_THAT(denied.message(), HasSubstr("let this user write there"));
  EXPECT_EQ(files(), 0);
}

TEST_F(ReplaceFileTest, AFolderInItsPlaceStays) {
  fs::create_directories(folder_ / "starts/inside");
  const Error error = error_of(folder_ / "starts", "text");
  EXPECT_EQ(error.code(), Code::kUnavailable);
  EXPECT_TRUE(fs::is_directory(folder_ / "starts/inside"));
  EXPECT_EQ(files(), 1);
}

TEST_F(ReplaceFileTest, WhatKilledProcessesLeftIsRemovedWhenNobodyCanBeWritingIt) {
  const auto write = [this](const char* name, std::chrono::minutes age) {
    const fs::path file = folder_ / name;
    std::ofstream(file) << "half";
    fs::last_write_time(file, fs::file_time_type::clock::now() - age);
  };
  using std::chrono::minutes;
  write("starts.12-0.new", minutes(61));
  write("m.tfrecord.4711-23.new", minutes(600));
  // A live writer's, and what has another kind of name.
  for (const char* name : {"starts.13-0.new", "starts.14-1.new"}) write(name, minutes(50));
  for (const char* name : {"starts", "notes.new", "a.1.new", "a.1-.new", "a.-1.new", "a.b-1.new",
                           ".1-2.new", "starts.12-0.new.old"}) {
    write(name, minutes(600));
  }
  fs::create_directory(folder_ / "folder.1-2.new");
  const auto before = files();
  EXPECT_EQ(remove_leftovers(folder_), 2u);
  EXPECT_EQ(files(), before - 2);
  EXPECT_FALSE(fs::exists(folder_ / "starts.12-0.new"));
  EXPECT_FALSE(fs::exists(folder_ / "m.tfrecord.4711-23.new"));
  EXPECT_EQ(remove_leftovers(folder_), 0u);
  EXPECT_EQ(remove_leftovers(folder_ / "nowhere"), 0u);
}

TEST_F(ReplaceFileTest, ManyAtOnceLeaveOneWholeFile) {
  const fs::path path = folder_ / "starts";
  std::vector<std::thread> threads;
  for (char letter = 'a'; letter < 'e'; ++letter) {
    threads.emplace_back([&path, letter] {
      for (int i = 0; i < 50; ++i)
        replace_file(path, {std::string(10'000, letter)}, {.flush = false});
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string text = text_of(path);
  EXPECT_EQ(text, std::string(10'000, text.at(0)));
  EXPECT_EQ(files(), 1);
}

}  // namespace
}  // namespace baozi
