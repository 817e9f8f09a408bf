#include "baozi/llm/prefix_store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <string>

#include "baozi/base/error.h"
#include "baozi/engine/scratch_folder.h"

namespace baozi::llm {
namespace {

namespace fs = std::filesystem;
using engine::Token;

const std::vector<Token> kTokens{1, 2, 3, 4};
const std::vector<std::byte> kBytes(10'000, std::byte{42});

class PrefixStoreTest : public testing::Test {
 protected:
  PrefixStore open(std::string key = "model f16", std::size_t bytes_max = 1 << 20) const {
    return {folder_.path() / "kv", std::move(key), bytes_max};
  }
  engine::ScratchFolder folder_;
};

TEST_F(PrefixStoreTest, WhatWasWrittenIsReadByAnother) {
  open().write(kTokens, kBytes);
  const PrefixStore store = open();
  const auto branches = store.branches();
  ASSERT_EQ(branches.size(), 1u);
  EXPECT_EQ(branches[0].tokens, kTokens);
  const auto bytes = store.read(branches[0]);
  ASSERT_TRUE(bytes);
  EXPECT_TRUE(std::ranges::equal(bytes->view(), kBytes));
}

TEST_F(PrefixStoreTest, NothingThereIsNothing) { EXPECT_TRUE(open().branches().empty()); }

TEST_F(PrefixStoreTest, AnotherKeysFilesAreNotSeen) {
  open("one f16").write(kTokens, kBytes);
  EXPECT_TRUE(open("one q8_0").branches().empty());
  open("one q8_0").write(kTokens, kBytes);
  EXPECT_EQ(open("one f16").branches().size(), 1u);
}

TEST_F(PrefixStoreTest, OnlyTheOwnerMayReadThem) {
  open().write(kTokens, kBytes);
  struct stat status{};
  ASSERT_EQ(::stat(open().branches()[0].file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  ASSERT_EQ(::stat((folder_.path() / "kv").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0700u);
}

// Every byte counts: one that is changed anywhere makes the file useless, and it is removed.
TEST_F(PrefixStoreTest, ADamagedFileIsRemoved) {
  for (const std::size_t at : {0u, 9u, 20u, 30u, 44u, 60u, 5000u, 10'050u}) {
    open().write(kTokens, kBytes);
    const fs::path file = open().branches().at(0).file;
    {
      std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
      stream.seekg(static_cast<std::streamoff>(at));
      const int was = stream.get();
      stream.seekp(static_cast<std::streamoff>(at));
      stream.put(static_cast<char>(was ^ 1));
    }
    const PrefixStore store = open();
    for (const auto& branch : store.branches()) {
      EXPECT_FALSE(store.read(branch)) << "byte " << at;
      EXPECT_FALSE(fs::exists(file));
    }
    fs::remove(file);
  }
}

TEST_F(PrefixStoreTest, AFileThatWasCutOffIsNotUsed) {
  for (const std::uintmax_t size : {0u, 10u, 40u, 50u, 5000u}) {
    open().write(kTokens, kBytes);
    fs::resize_file(open().branches().at(0).file, size);
    EXPECT_TRUE(open().branches().empty()) << size;
  }
}

TEST_F(PrefixStoreTest, TheOldestGoWhenThereIsNoRoom) {
  const PrefixStore store = open("k", 25'000);
  for (Token first = 0; first < 4; ++first) {
    store.write(std::vector<Token>{first, 7}, kBytes);
    const auto branches = store.branches();
    for (const auto& branch : branches)  // older by the minute
      fs::last_write_time(branch.file, fs::last_write_time(branch.file) - std::chrono::minutes(1));
  }
  const auto branches = store.branches();
  ASSERT_EQ(branches.size(), 2u);
  EXPECT_EQ(branches[0].tokens[0], 3);
  EXPECT_EQ(branches[1].tokens[0], 2);
}

TEST_F(PrefixStoreTest, AFullDiskLeavesNothingBehind) {
  const PrefixStore store = open();
  store.write(kTokens, kBytes);
  // A limit on the size of files stands in for a full disk.
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 1000;
  ::setrlimit(RLIMIT_FSIZE, &small);
  Code code = Code::kOk;
  try {
    store.write(std::vector<Token>{9}, kBytes);
  } catch (const Error& error) {
    code = error.code();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(code, Code::kResourceExhausted);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path() / "kv"), {}), 1);
}

TEST_F(PrefixStoreTest, AFolderThatCannotBeMadeIsAnError) {
  const fs::path file = folder_.write("file", "");
  const PrefixStore store(file / "kv", "k", 1 << 20);
  EXPECT_TRUE(store.branches().empty());
  EXPECT_THROW(store.write(kTokens, kBytes), Error);
}

TEST_F(PrefixStoreTest, FingerprintsDiffer) {
  std::string content(5 << 20, 'a');
  const std::string one = fingerprint(folder_.write("a", content));
  EXPECT_EQ(fingerprint(folder_.write("b", content)), one);
  content[100] = 'b';
  EXPECT_NE(fingerprint(folder_.write("c", content)), one);
  content[100] = 'a';
  EXPECT_NE(fingerprint(folder_.write("d", content + "a")), one);
  EXPECT_THROW(fingerprint(folder_.path() / "none"), Error);
}

}  // namespace
}  // namespace baozi::llm
