// The fake engine: models that compute next to nothing and take a known time, fail when told to and
// need no file. For tests, the simulator and overhead benchmarks. Deterministic: the same options
// and runs give the same times and faults.
//
// In code:                                              In a file model.fake (YAML; every key may
// be left out):
//   FakeOptions options;               inputs: [{name: input, dtype: FP32, shape: [batch, 4]}]
//   options.latency = 2ms;             outputs: [{name: output, dtype: FP32, shape: [batch, 4]}]
//   options.latency_per_row = 100us;   latency_us: 2000
//   options.fail_every = 10;           latency_per_row_us: 100
//   auto model = make_fake_model(options);                             fail_every: 10
//
// Thread safety: as engine.h says; the functions are free of state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "baozi/base/clock.h"
#include "baozi/engine/engine.h"

namespace baozi::engine {

enum class FakeOutput {
  kEcho,  // output i is input i, or the last one where there are fewer
  kSum,   // every element of a row is the sum of that row over all inputs
};

struct FakeOptions {
  // input FP32 [batch,4] to output FP32 [batch,4]
  Signature signature{{{"input", DType::kFp32, {-1, 4}, {"batch", ""}}},
                      {{"output", DType::kFp32, {-1, 4}, {"batch", ""}}}};
  FakeOutput output = FakeOutput::kEcho;
  // A run takes latency + rows * latency_per_row + a part of jitter that follows from the seed and
  // the run's number. Rows are dimension 0 of the first input. Sleeps are real and end about 60 µs
  // late, as the system's do.
  Duration latency{};
  Duration latency_per_row{};
  Duration jitter{};
  std::uint64_t seed = 1;
  // Each n-th run of the model fails with kInternal; 0: none.
  std::uint64_t fail_every = 0;
  // A run fails with kInvalidArgument when a row of the first input begins with this value.
  std::optional<double> fail_value = {};
  Duration load_time{};
  std::size_t memory_bytes = 0;
  // An instance takes instance_time to make and instance_bytes of memory, and its first run takes
  // first_run more. There can be instances_max of them, further ones fail with kResourceExhausted;
  // 0: any number.
  Duration instance_time{};
  std::size_t instance_bytes = 0;
  Duration first_run{};
  std::size_t instances_max = 0;
  bool interruptible = true;
  // Takes the place of sleeping, for a virtual clock: may throw to end the run.
  std::function<void(Duration, StopToken)> sleep = {};
};

// "Loads" it: takes load_time. Errors: kCancelled, kDeadlineExceeded; kInvalidArgument when the
// signature does not suit the output (an echo needs outputs like the inputs, a sum needs numbers
// and rows).
std::shared_ptr<Model> make_fake_model(FakeOptions options, StopToken stop = {});

// The options a *.fake file holds; `file` is for messages. Throws Error kInvalidArgument with file
// and line.
FakeOptions parse_fake(std::string_view text, std::string_view file);

class FakeEngine final : public Engine {
 public:
  std::string_view name() const noexcept override { return "fake"; }
  std::string version() const override { return "1"; }
  bool accepts(const std::filesystem::path& file) const override {
    return file.extension() == ".fake";
  }
  std::shared_ptr<Model> load(const std::filesystem::path& file, const ModelOptions& options,
                              StopToken stop) override;
};

// Makes it known to open_engine("fake") and engine_for("*.fake"); may be called again.
void register_fake_engine();

}  // namespace baozi::engine
