// Any sequence of events must keep the batcher's invariants.
#include <cstdio>
#include <cstdlib>

#include "baozi/pipeline/batcher_simulation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  baozi::pipeline::BatcherSimulation simulation;
  const std::string broken = simulation.run({data, size});
  if (!broken.empty()) {
    std::fprintf(stderr, "%s\n", broken.c_str());
    std::abort();
  }
  return 0;
}
