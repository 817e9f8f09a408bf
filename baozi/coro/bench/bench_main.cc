#include <benchmark/benchmark.h>

#include "baozi/coro/bench/memory.h"

int main(int argc, char** argv) {
  baozi::bench::measure_memory();  // first: it forks, which must happen before anyone has threads
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
