// The bare loop: callers that run a model over and over, with no server, queue or batcher between.
// What a server on the same machine can reach at best.
//
// Thread safety: BareLoop is used by one thread; measure() starts threads of its own and joins
// them.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace baozi::bare {

// How the cores are split: `callers` side by side, each with an instance of `threads` threads that
// spin between operators or sleep.
struct Split {
  int callers = 1;
  int threads = 1;
  bool spinning = false;
};

// "callers:threads", with ":spin" behind it when threads spin: "2:1", "1:2:spin". Throws Error
// kInvalidArgument.
Split parse_split(std::string_view text);

struct Trial {
  Split split;
  std::int64_t batch = 1;
  double rows_per_second = 0;
};

std::string to_json(const Trial& trial);

class BareLoop {
 public:
  // Free dimensions behind the first get the size `sequence`. `prepared`: a folder of artefacts, as
  // engine::PreparedOptions has it; empty: none.
  BareLoop(std::filesystem::path model, std::int64_t sequence, std::filesystem::path prepared = {})
      : model_(std::move(model)), sequence_(sequence), prepared_(std::move(prepared)) {}

  // Opens the model anew, runs each instance once, then all for `span`. Throws baozi::Error.
  Trial measure(const Split& split, std::int64_t batch, std::chrono::duration<double> span) const;

 private:
  std::filesystem::path model_;
  std::int64_t sequence_;
  std::filesystem::path prepared_;
};

}  // namespace baozi::bare
