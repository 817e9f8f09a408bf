// EngineOpener: opens the engines that the configured models need, beside everything else that a
// start does. To open one takes longer than all the rest of an empty server: its library is mapped
// and relocated, and the library sets itself up.
//
//   EngineOpener opener(config);   // returns at once; engine_for() waits for what is being opened
//
// Thread safety: construct and destroy on one thread. The destructor waits for the end.
#pragma once

#include <thread>

#include "baozi/serve/config.h"

namespace baozi::serve {

class EngineOpener {
 public:
  // What fails is left to whoever loads a model: there it has a reader.
  explicit EngineOpener(const Config& config);
  ~EngineOpener();
  EngineOpener(const EngineOpener&) = delete;
  EngineOpener& operator=(const EngineOpener&) = delete;

 private:
  std::thread thread_;
};

}  // namespace baozi::serve
