// Whatever comes when, and wherever the clock jumps, the bounds and the memory are kept.
#include <cstdio>
#include <cstdlib>

#include "baozi/pipeline/elasticity_simulation.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using std::chrono::milliseconds;
  if (size < 6 || size > 256) return 0;
  baozi::pipeline::ElasticityScene scene;
  scene.options.min = 1 + data[0] % 3;
  scene.options.max = scene.options.min + data[1] % 5;
  scene.options.shrink_after = milliseconds(20 + 8 * data[2]);
  scene.service = milliseconds(1 + data[3]);
  scene.cores = 1 + data[4] % 4;
  scene.instance_bytes = data[5];
  scene.memory_free = 4 * static_cast<std::size_t>(data[5] % 16);
  scene.fails = [&](int number) { return data[number % static_cast<int>(size)] % 7 == 0; };
  baozi::pipeline::ElasticitySimulation simulation(scene);
  for (std::size_t i = 6; i + 1 < size && simulation.broken().empty(); i += 2) {
    if (data[i] % 16 == 15) {
      simulation.jump(milliseconds(data[i + 1]) * (data[i] % 32 == 31 ? -100 : 1000));
    } else if (data[i] % 16 == 14) {
      simulation.arrive(data[i + 1]);
    } else {
      simulation.run(milliseconds(2 * data[i + 1]), data[i] % 16);
    }
  }
  if (!simulation.broken().empty()) {
    std::fprintf(stderr, "%s\n", simulation.broken().c_str());
    std::abort();
  }
  return 0;
}
