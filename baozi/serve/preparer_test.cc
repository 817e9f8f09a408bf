#include "baozi/serve/preparer.h"

#include <gmock/gmock.h>

#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/scratch_folder.h"

namespace baozi::serve {
namespace {

using engine::ModelOptions;
using engine::Preparation;
using testing::ElementsAre;
using testing::IsEmpty;

// Notes what it is asked to prepare; "fails" fails, "waits" ends when it is stopped.
class NotingEngine final : public engine::Engine {
 public:
  std::string_view name() const noexcept override { return "noting"; }
  std::string version() const override { return "1"; }
  bool accepts(const std::filesystem::path&) const override { return true; }
  std::shared_ptr<engine::Model> load(const std::filesystem::path&, const ModelOptions&,
                                      StopToken) override {
    throw Error(Code::kUnimplemented, "not here");
  }
  Preparation prepare(const std::filesystem::path& file, const ModelOptions&,
                      StopToken stop) override {
    {
      const std::lock_guard lock(mutex_);
      asked_.push_back(file);
    }
    if (file == "last") last_.set_value();
    if (file == "fails") throw Error(Code::kResourceExhausted, "the disk is full");
    if (file == "waits") {
      began_.set_value();
      while (!stop.stop_requested()) std::this_thread::yield();
      throw_if_stopped(stop);
    }
    return {.state = Preparation::State::kMade};
  }

  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  std::promise<void> last_;
  std::promise<void> began_;

 private:
  std::mutex mutex_;
  std::vector<std::string> asked_;  // guarded by mutex_
};

ModelOptions kept() {
  ModelOptions options;
  options.prepared.folder = "/store";
  return options;
}

TEST(Preparer, GoesThroughWhatWasLoadedOnceAllIsReadyWhateverFails) {
  NotingEngine engine;
  Preparer preparer;
  preparer.add({"a", engine, "first", kept()});
  preparer.add({"a", engine, "first", kept()});
  preparer.add({"b", engine, "fails", kept()});
  preparer.add({"c", engine, "off", {}});
  EXPECT_THAT(engine.asked(), IsEmpty());
  preparer.begin();
  preparer.begin();
  preparer.add({"d", engine, "last", kept()});
  engine.last_.get_future().wait();
  EXPECT_THAT(engine.asked(), ElementsAre("first", "fails", "last"));
}

TEST(Preparer, ItsEndStopsWhatIsBeingPreparedAndDropsTheRest) {
  NotingEngine engine;
  {
    Preparer preparer;
    preparer.add({"a", engine, "waits", kept()});
    preparer.add({"b", engine, "never", kept()});
    preparer.begin();
    engine.began_.get_future().wait();
  }
  EXPECT_THAT(engine.asked(), ElementsAre("waits"));
}

TEST(Preparer, RemovesFirstWhatKilledProcessesLeft) {
  const engine::ScratchFolder folder;
  const auto left = folder.write("starts.1-0.new", "half");
  const auto fresh = folder.write("starts.1-1.new", "half");
  std::filesystem::last_write_time(
      left, std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  NotingEngine engine;
  Preparer preparer;
  preparer.add({"a", engine, "last", kept()});
  preparer.begin({folder.path(), folder.path() / "nowhere"});
  engine.last_.get_future().wait();
  EXPECT_FALSE(std::filesystem::exists(left));
  EXPECT_TRUE(std::filesystem::exists(fresh));
}

TEST(Preparer, MayEndWithoutABeginning) {
  NotingEngine engine;
  {
    Preparer preparer;
    preparer.add({"a", engine, "never", kept()});
  }
  EXPECT_THAT(engine.asked(), IsEmpty());
}

}  // namespace
}  // namespace baozi::serve
