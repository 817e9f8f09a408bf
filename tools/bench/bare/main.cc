// baozi-bare: what a model yields in a bare loop, over batch sizes and splits of the cores. Prints
// one line of JSON a trial, as it comes.
//
//   baozi-bare model.onnx --batches 1 2 4 8 --splits 2:1 1:2 1:2:spin --seconds 1 --sequence 32
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "tools/bench/bare/bare_loop.h"

int main(int argc, char** argv) {
  CLI::App app("Runs a model in a bare loop and prints rows a second as JSON, a line a trial");
  std::string model;
  std::vector<std::int64_t> batches{1, 2, 4, 8, 16, 32};
  std::vector<std::string> splits{"1:1"};
  double seconds = 1;
  std::int64_t sequence = 32;
  std::string prepared;
  app.add_option("model", model, "the model's file")->required()->check(CLI::ExistingFile);
  app.add_option("--batches", batches, "rows a run")->check(CLI::Range(1, 4096));
  app.add_option("--splits", splits, "CALLERS:THREADS[:spin], as many as wanted");
  app.add_option("--seconds", seconds, "of each trial; a run under way is finished")
      ->check(CLI::Range(0.0, 600.0));
  app.add_option("--sequence", sequence, "size of free dimensions behind the first")
      ->check(CLI::Range(1, 65'536));
  app.add_option("--prepared", prepared, "a folder of prepared artefacts (baozi prepare)");
  CLI11_PARSE(app, argc, argv);
  try {
    const baozi::bare::BareLoop loop(model, sequence, prepared);
    for (const std::string& text : splits) {
      const baozi::bare::Split split = baozi::bare::parse_split(text);
      for (const std::int64_t batch : batches) {
        const std::chrono::duration<double> span(seconds);
        fmt::print("{}\n", baozi::bare::to_json(loop.measure(split, batch, span)));
        std::fflush(stdout);
      }
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "baozi-bare: {}\n", error.what());
    return 1;
  }
  return 0;
}
