// Preparer: prepares models that were loaded, behind everything else, so that the next start finds
// them prepared: one after the other, on a thread that runs when nobody else wants the processor.
//
//   preparer.add({"minilm", engine, file, options});   // after each load
//   preparer.begin();                                  // once everything is ready
//
// Thread safety: all methods; the destructor stops what is being prepared, and waits for it.
#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "baozi/coro/stop.h"
#include "baozi/engine/engine.h"

namespace baozi::serve {

class Preparer {
 public:
  Preparer() = default;
  ~Preparer();
  Preparer(const Preparer&) = delete;
  Preparer& operator=(const Preparer&) = delete;

  struct Work {
    std::string name;  // of the model, for the log
    engine::Engine& engine;
    std::filesystem::path file;
    engine::ModelOptions options;
  };
  // Without a folder to keep it in, nothing is done. A model that is waiting already is not added.
  void add(Work work);
  // Nothing is prepared before. First what killed processes left in `folders` is removed
  // (remove_leftovers).
  void begin(std::vector<std::filesystem::path> folders = {});

 private:
  static constexpr std::size_t kWaitingMax = 10'000;

  void run();
  void prepare(const Work& work);

  StopSource stop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> waiting_;  // guarded by mutex_
  bool ending_ = false;       // guarded by mutex_
  std::thread thread_;        // guarded by mutex_, until ending_
};

}  // namespace baozi::serve
