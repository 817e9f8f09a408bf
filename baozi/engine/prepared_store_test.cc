#include "baozi/engine/prepared_store.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>

#include "baozi/base/error.h"
#include "baozi/engine/file_stamp.h"
#include "baozi/engine/scratch_folder.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kContent(100'000, 'w');

void write_file(const fs::path& file, std::string_view content) {
  std::ofstream(file, std::ios::binary) << content;
}

std::string read_file(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write_artefact(const fs::path& folder) {
  write_file(folder / "model.onnx", "graph");
  write_file(folder / "weights.bin", kContent);
}

// Until a stamp of what was written by now can be relied on.
void let_the_clock_tick() { std::this_thread::sleep_for(std::chrono::milliseconds(60)); }

Code code_of(const std::function<void()>& action) {
  try {
    action();
    return Code::kOk;
  } catch (const Error& error) {
    return error.code();
  }
}

class PreparedStoreTest : public testing::Test {
 protected:
  PreparedStore open(std::uint64_t bytes_max = 1 << 30) {
    return PreparedStore({folder_.path() / "store", bytes_max},
                         [this](std::string_view text) { warnings_.emplace_back(text); });
  }
  static PreparedKey key(char model = 'a') {
    return {std::string(32, model), "onnx 1", "cpu", "o"};
  }
  fs::path place(char model = 'a') const { return folder_.path() / "store" / key(model).name(); }
  bool make(const PreparedStore& store, char model = 'a') {
    return store.make({key(model), model_, 9}, &write_artefact, {});
  }
  // Everything in the store but its lock.
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_.path() / "store")) {
      if (entry.path().filename() != "lock") found.push_back(entry.path().filename());
    }
    return found;
  }
  static bool found(const PreparedStore& store, char model = 'a') {
    return store.find(key(model), {}).has_value();
  }

  const ScratchFolder folder_;
  const fs::path model_ = folder_.write("model.onnx", "the model");
  std::vector<std::string> warnings_;
};

TEST_F(PreparedStoreTest, KeepsWhatWasWritten) {
  const PreparedStore store = open();
  EXPECT_FALSE(store.has_of_size(9));
  EXPECT_FALSE(found(store));
  EXPECT_TRUE(make(store));
  EXPECT_TRUE(store.has_of_size(9));
  EXPECT_FALSE(store.has_of_size(8));
  const std::optional<fs::path> folder = store.find(key(), {});
  ASSERT_TRUE(folder);
  EXPECT_EQ(read_file(*folder / "weights.bin"), kContent);
  EXPECT_FALSE(make(store)) << "it is there already";
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(PreparedStoreTest, FindsNothingForAnotherKey) {
  const PreparedStore store = open();
  make(store);
  for (std::string PreparedKey::* part :
       {&PreparedKey::model, &PreparedKey::engine, &PreparedKey::machine, &PreparedKey::options}) {
    PreparedKey other = key();
    (other.*part).back() = 'z';
    EXPECT_FALSE(store.find(other, {}));
  }
  EXPECT_TRUE(found(store));
}

TEST_F(PreparedStoreTest, WhatIsDamagedIsRemovedOnceWithAWarningAndMadeAgain) {
  const std::vector<std::pair<std::string, std::function<void(const fs::path&)>>> damages{
      {"cut off", [](const fs::path& at) { fs::resize_file(at / "weights.bin", 99'999); }},
      {"longer", [](const fs::path& at) { write_file(at / "weights.bin", kContent + "x"); }},
      {"a flipped bit",
       [](const fs::path& at) {
         std::string content = kContent;
         content[50'000] ^= 1;
         write_file(at / "weights.bin", content);
       }},
      {"a file is gone", [](const fs::path& at) { fs::remove(at / "model.onnx"); }},
      {"the manifest is garbage", [](const fs::path& at) { write_file(at / "manifest", "bun"); }},
      {"the manifest is gone", [](const fs::path& at) { fs::remove(at / "manifest"); }},
      {"the manifest is cut off",
       [](const fs::path& at) { fs::resize_file(at / "manifest", 100); }},
      {"another's manifest",
       [](const fs::path& at) {
         std::optional<PreparedManifest> other = parse_manifest(read_file(at / "manifest"));
         other->key.engine = "onnx 2";
         write_file(at / "manifest", format_manifest(*other));
       }},
  };
  const PreparedStore store = open();
  for (const auto& [name, damage] : damages) {
    SCOPED_TRACE(name);
    make(store);
    let_the_clock_tick();
    ASSERT_TRUE(found(store));
    warnings_.clear();
    damage(place());
    EXPECT_FALSE(found(store));
    EXPECT_FALSE(found(store));
    ASSERT_EQ(warnings_.size(), 1u);
    EXPECT_THAT(warnings_[0], HasSubstr("damaged"));
    EXPECT_THAT(names(), IsEmpty());
    EXPECT_TRUE(make(store));
    EXPECT_TRUE(found(store));
  }
}

// Reading all of it at each start would take as long as what it saves.
TEST_F(PreparedStoreTest, IsReadOnceAndThenKnownByItsStamps) {
  const PreparedStore store = open();
  make(store);
  let_the_clock_tick();
  ASSERT_TRUE(found(store));
  ASSERT_TRUE(fs::exists(place() / "verified"));
  write_file(place() / "weights.bin", std::string(kContent.size(), 'x'));
  let_the_clock_tick();
  // A note that says that somebody read the files as they are now.
  RecordLines note;
  for (const char* name : {"model.onnx", "weights.bin"})
    note.push_back({"file", *file_stamp(place() / name) + " " + name});
  const auto write_note = [&] { write_file(place() / "verified", seal(note)); };
  write_note();
  EXPECT_TRUE(found(store)) << "the note is believed";
  ::chmod((place() / "verified").c_str(), 0666);
  EXPECT_FALSE(found(store)) << "anybody could have written it";
}

TEST_F(PreparedStoreTest, AStampOfThisMomentIsNotReliedOn) {
  const fs::path file = folder_.write("new", "a");
  EXPECT_TRUE(changed_just_now(file));
  let_the_clock_tick();
  EXPECT_FALSE(changed_just_now(file));
}

TEST_F(PreparedStoreTest, AFailureLeavesNothing) {
  const PreparedStore store = open();
  const auto write = [](const fs::path& folder) {
    write_artefact(folder);
    throw Error(Code::kInvalidArgument, "no model");
  };
  EXPECT_EQ(code_of([&] { store.make({key(), model_, 9}, write, {}); }), Code::kInvalidArgument);
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(PreparedStoreTest, AFullDiskIsSaidAndLeavesNothing) {
  const PreparedStore store = open();
  make(store);
  // A limit on the size of files stands in for a full disk.
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 50'000;
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto write = [](const fs::path& folder) {
    write_artefact(folder);
    throw Error(Code::kInvalidArgument, "something of graphs");
  };
  std::string message;
  try {
    store.make({key('b'), model_, 9}, write, {});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kResourceExhausted);
    message = error.message();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, HasSubstr("make room"));
  EXPECT_THAT(names(), ElementsAre(key().name()));
  EXPECT_TRUE(found(store)) << "what was there stays";
}

TEST_F(PreparedStoreTest, AFolderThatCannotBeMadeIsAnError) {
  const fs::path file = folder_.write("file", "");
  const PreparedStore store({file / "store", 1 << 20});
  EXPECT_FALSE(store.has_of_size(9));
  EXPECT_THAT(store.list(), IsEmpty());
  EXPECT_FALSE(found(store));
  EXPECT_NE(code_of([&] { make(store); }), Code::kOk);
  EXPECT_EQ(store.prune([](const auto&) { return false; }).artefacts, 0u);
  EXPECT_NO_THROW(store.source(model_, [] { return std::vector<fs::path>(); }, {}));
}

// kill -9 in the middle.
TEST_F(PreparedStoreTest, AProcessThatDiesLeavesTheOldStateAndIsCleanedUpAfter) {
  const PreparedStore store = open();
  make(store);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto die = [](const fs::path& folder) {
      write_artefact(folder);
      ::kill(::getpid(), SIGKILL);
    };
    store.make({key('b'), model_, 9}, die, {});
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(names().size(), 2u) << "the left-over is there";
  EXPECT_TRUE(found(store));
  EXPECT_FALSE(found(store, 'b'));
  EXPECT_THAT(warnings_, IsEmpty());
  EXPECT_TRUE(make(store, 'b'));
  EXPECT_THAT(names(), testing::UnorderedElementsAre(key().name(), key('b').name()));
}

TEST_F(PreparedStoreTest, OfTwoProcessesOneMakesAndTheOtherWaits) {
  const PreparedStore store = open();
  fs::create_directory(folder_.path() / "store");
  int made[2];
  ASSERT_EQ(::pipe(made), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto slowly = [&](const fs::path& folder) {
      write_artefact(folder);
      [[maybe_unused]] const ssize_t told = ::write(made[1], "x", 1);
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    };
    store.make({key(), model_, 9}, slowly, {});
    ::_exit(0);
  }
  char told = 0;
  ASSERT_EQ(::read(made[0], &told, 1), 1);
  bool written = false;
  EXPECT_FALSE(store.make({key(), model_, 9}, [&](const fs::path&) { written = true; }, {}));
  EXPECT_FALSE(written);
  EXPECT_TRUE(found(store));
  ::waitpid(child, nullptr, 0);
  ::close(made[0]);
  ::close(made[1]);
}

TEST_F(PreparedStoreTest, WaitingEndsWhenAskedTo) {
  const PreparedStore store = open();
  StopSource stop;
  const auto write = [&](const fs::path& folder) {
    write_artefact(folder);
    std::thread other([&] {
      EXPECT_EQ(code_of([&] { open().make({key('b'), model_, 9}, &write_artefact, stop.token()); }),
                Code::kCancelled);
    });
    stop.request_stop();
    other.join();
  };
  EXPECT_TRUE(store.make({key(), model_, 9}, write, {}));
}

TEST_F(PreparedStoreTest, WhatWasUsedLongestAgoMakesRoom) {
  const PreparedStore store = open(2 * kContent.size() + 100);
  make(store, 'a');
  make(store, 'b');
  const fs::file_time_type now = fs::last_write_time(place('b') / "manifest");
  fs::last_write_time(place('a') / "manifest", now - std::chrono::minutes(2));
  fs::last_write_time(place('b') / "manifest", now - std::chrono::minutes(1));
  ASSERT_TRUE(found(store, 'a')) << "it is used now";
  make(store, 'c');
  EXPECT_TRUE(found(store, 'a'));
  EXPECT_FALSE(found(store, 'b'));
  EXPECT_TRUE(found(store, 'c'));
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(PreparedStoreTest, WhatIsLargerThanAllOfItIsRefused) {
  const PreparedStore store = open(1000);
  EXPECT_EQ(code_of([&] { make(store); }), Code::kResourceExhausted);
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(PreparedStoreTest, ListsTheOneUsedLastFirst) {
  const PreparedStore store = open();
  make(store, 'a');
  make(store, 'b');
  fs::last_write_time(place('a') / "manifest",
                      fs::last_write_time(place('b') / "manifest") + std::chrono::minutes(1));
  const std::vector<PreparedStore::Artefact> artefacts = store.list();
  ASSERT_EQ(artefacts.size(), 2u);
  EXPECT_EQ(artefacts[0].manifest.key, key('a'));
  EXPECT_EQ(artefacts[0].manifest.source, model_.string());
  EXPECT_EQ(artefacts[0].bytes, kContent.size() + 5);
}

TEST_F(PreparedStoreTest, PruneRemovesWhatIsNotKeptAndWhatIsNone) {
  const PreparedStore store = open();
  make(store, 'a');
  make(store, 'b');
  make(store, 'c');
  write_file(place('c') / "manifest", "bun");
  fs::create_directory(folder_.path() / "store" / ".new-1");
  const PreparedStore::Pruned pruned =
      store.prune([&](const auto& each) { return each.manifest.key == key('a'); });
  EXPECT_EQ(pruned.artefacts, 1u);
  EXPECT_EQ(pruned.bytes, kContent.size() + 5);
  EXPECT_THAT(names(), ElementsAre(key('a').name()));
}

TEST_F(PreparedStoreTest, AModelIsReadOnceUntilItsFilesChange) {
  const PreparedStore store = open();
  const fs::path weights = folder_.write("weights.bin", "12345");
  int listed = 0;
  const auto others = [&] {
    ++listed;
    return std::vector<fs::path>{weights};
  };
  let_the_clock_tick();
  const PreparedStore::Source first = store.source(model_, others, {});
  EXPECT_EQ(first.bytes, 14u);
  EXPECT_EQ(store.source(model_, others, {}).digest, first.digest);
  EXPECT_EQ(listed, 1) << "the second time nothing is read";
  // As long, and of the same age.
  const fs::file_time_type time = fs::last_write_time(weights);
  write_file(weights, "12346");
  fs::last_write_time(weights, time);
  EXPECT_FALSE(store.remembered(model_));
  EXPECT_NE(store.source(model_, others, {}).digest, first.digest);
  EXPECT_EQ(listed, 2);
}

TEST_F(PreparedStoreTest, ADamagedNoteOfAModelIsReadAnew) {
  const PreparedStore store = open();
  const auto none = [] { return std::vector<fs::path>(); };
  let_the_clock_tick();
  const PreparedStore::Source first = store.source(model_, none, {});
  ASSERT_TRUE(store.remembered(model_));
  for (const auto& entry : fs::directory_iterator(folder_.path() / "store"))
    write_file(entry.path(), "bun");
  EXPECT_FALSE(store.remembered(model_));
  EXPECT_EQ(store.source(model_, none, {}).digest, first.digest);
}

}  // namespace
}  // namespace baozi::engine
