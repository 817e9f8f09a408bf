#include "baozi/engine/fake/fake_engine.h"

#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/registry.h"

namespace baozi::engine {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::optional<Error> error_of(const std::function<void()>& action) {
  try {
    action();
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  }
}

const std::vector<Tensor>& two_rows() {
  static const std::vector<Tensor> inputs{Tensor::of<float>({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8})};
  return inputs;
}

// A clock that only notes what was slept.
struct VirtualClock {
  std::vector<Duration> slept;
  std::function<void(Duration, StopToken)> sleep() {
    return [this](Duration duration, StopToken) { slept.push_back(duration); };
  }
};

TEST(FakeEngine, EchoesItsInputsIntoMemoryTheCallerGave) {
  const std::unique_ptr<Instance> instance = make_fake_model({})->create_instance(heap_allocator());
  std::vector<Tensor> outputs(1);
  instance->run(two_rows(), outputs, {});
  EXPECT_THAT(outputs[0].values<float>(), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  const std::byte* const at = outputs[0].data().data();
  instance->run(two_rows(), outputs, {});
  EXPECT_EQ(outputs[0].data().data(), at);
}

TEST(FakeEngine, SumsRows) {
  FakeOptions options;
  options.output = FakeOutput::kSum;
  options.signature.outputs = {{"total", DType::kInt32, {-1, 1}, {}}};
  const std::unique_ptr<Instance> instance =
      make_fake_model(options)->create_instance(heap_allocator());
  std::vector<Tensor> outputs(1);
  instance->run(two_rows(), outputs, {});
  EXPECT_EQ(outputs[0].shape(), (Shape{2, 1}));
  EXPECT_THAT(outputs[0].values<std::int32_t>(), ElementsAre(10, 26));
}

TEST(FakeEngine, TakesLongerForMoreRows) {
  VirtualClock clock;
  FakeOptions options;
  options.latency = 5ms;
  options.latency_per_row = 2ms;
  options.sleep = clock.sleep();
  const std::unique_ptr<Instance> instance =
      make_fake_model(options)->create_instance(heap_allocator());
  std::vector<Tensor> outputs(1);
  instance->run(two_rows(), outputs, {});
  EXPECT_THAT(clock.slept, ElementsAre(0ms, 9ms)) << "the load, then the run";
}

TEST(FakeEngine, JitterFollowsFromTheSeed) {
  const auto times = [](std::uint64_t seed) {
    VirtualClock clock;
    FakeOptions options;
    options.jitter = 10ms;
    options.seed = seed;
    options.sleep = clock.sleep();
    const std::unique_ptr<Instance> instance =
        make_fake_model(options)->create_instance(heap_allocator());
    std::vector<Tensor> outputs(1);
    for (int i = 0; i < 20; ++i) instance->run(two_rows(), outputs, {});
    clock.slept.erase(clock.slept.begin());
    return clock.slept;
  };
  EXPECT_EQ(times(1), times(1));
  EXPECT_NE(times(1), times(2));
  for (const Duration time : times(3)) EXPECT_LT(time, Duration(10ms));
}

TEST(FakeEngine, SleepsInRealTime) {
  FakeOptions options;
  options.latency = 20ms;
  const std::unique_ptr<Instance> instance =
      make_fake_model(options)->create_instance(heap_allocator());
  std::vector<Tensor> outputs(1);
  const Time start = Clock::now();
  instance->run(two_rows(), outputs, {});
  EXPECT_GE(Clock::now() - start, 20ms);
}

TEST(FakeEngine, WakesWhenAskedToStopAndStaysUsable) {
  FakeOptions options;
  options.latency = 10s;
  const std::shared_ptr<Model> model = make_fake_model(options);
  const std::unique_ptr<Instance> instance = model->create_instance(heap_allocator());
  std::vector<Tensor> outputs(1);
  Duration best = 1h;  // of several, since another process may hold the processor
  for (int i = 0; i < 10; ++i) {
    StopSource source;
    Time stopped;
    std::thread stopper([&] {
      std::this_thread::sleep_for(2ms);
      stopped = Clock::now();
      source.request_stop(Code::kDeadlineExceeded);
    });
    const std::optional<Error> error =
        error_of([&] { instance->run(two_rows(), outputs, source.token()); });
    const Time ended = Clock::now();
    stopper.join();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), Code::kDeadlineExceeded);
    best = std::min(best, ended - stopped);
  }
  EXPECT_LT(best, 1ms);
}

TEST(FakeEngine, MayBeDeafToStops) {
  FakeOptions options;
  options.latency = 5ms;
  options.interruptible = false;
  const std::shared_ptr<Model> model = make_fake_model(options);
  EXPECT_FALSE(model->capabilities().interruptible);
  StopSource source;
  source.request_stop();
  std::vector<Tensor> outputs(1);
  EXPECT_NO_THROW(
      model->create_instance(heap_allocator())->run(two_rows(), outputs, source.token()));
}

TEST(FakeEngine, FailsEveryNthRunOfTheModel) {
  FakeOptions options;
  options.fail_every = 3;
  const std::shared_ptr<Model> model = make_fake_model(options);
  const std::unique_ptr<Instance> a = model->create_instance(heap_allocator());
  const std::unique_ptr<Instance> b = model->create_instance(heap_allocator());
  std::vector<Tensor> outputs(1);
  EXPECT_NO_THROW(a->run(two_rows(), outputs, {}));
  EXPECT_NO_THROW(b->run(two_rows(), outputs, {}));
  EXPECT_EQ(error_of([&] { a->run(two_rows(), outputs, {}); })->code(), Code::kInternal);
  EXPECT_NO_THROW(a->run(two_rows(), outputs, {}));
}

TEST(FakeEngine, FailsOnRowsThatBeginWithAValue) {
  FakeOptions options;
  options.fail_value = 5;
  const std::unique_ptr<Instance> instance =
      make_fake_model(options)->create_instance(heap_allocator());
  std::vector<Tensor> outputs(1);
  const std::optional<Error> error = error_of([&] { instance->run(two_rows(), outputs, {}); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kInvalidArgument);
  EXPECT_THAT(error->message(), HasSubstr("row 1"));
  const std::vector<Tensor> first{two_rows()[0].rows(0, 1)};
  EXPECT_NO_THROW(instance->run(first, outputs, {}));
}

TEST(FakeEngine, RefusesInputsThatDoNotFit) {
  const std::unique_ptr<Instance> instance = make_fake_model({})->create_instance(heap_allocator());
  std::vector<Tensor> outputs(1);
  const std::vector<Tensor> wrong{Tensor::of<float>({1, 3}, {1, 2, 3})};
  EXPECT_EQ(error_of([&] { instance->run(wrong, outputs, {}); })->code(), Code::kInvalidArgument);
  EXPECT_EQ(error_of([&] { instance->run({}, outputs, {}); })->code(), Code::kInvalidArgument);
}

TEST(FakeEngine, RefusesASignatureThatItsOutputCannotHave) {
  FakeOptions echo;
  echo.signature.outputs = {{"other", DType::kInt64, {-1}, {}}};
  EXPECT_EQ(error_of([&] { make_fake_model(echo); })->code(), Code::kInvalidArgument);
  FakeOptions sum;
  sum.output = FakeOutput::kSum;
  sum.signature.outputs = {{"text", DType::kBytes, {-1}, {}}};
  EXPECT_EQ(error_of([&] { make_fake_model(sum); })->code(), Code::kInvalidArgument);
}

TEST(FakeModel, ThereAreNoMoreInstancesThanItSays) {
  FakeOptions options;
  options.instances_max = 2;
  const std::shared_ptr<Model> model = make_fake_model(options);
  Allocator& allocator = heap_allocator();
  std::unique_ptr<Instance> first = model->create_instance(allocator);
  const std::unique_ptr<Instance> second = model->create_instance(allocator);
  EXPECT_EQ(error_of([&] { model->create_instance(allocator); })->code(), Code::kResourceExhausted);
  first.reset();
  EXPECT_NE(model->create_instance(allocator), nullptr);
}

TEST(FakeFile, IsLoadedByTheRegisteredEngine) {
  register_fake_engine();
  register_fake_engine();
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / "fake_engine_test.fake";
  std::ofstream(file) << "memory_bytes: 1000\nload_ms: 1\n";
  const std::shared_ptr<Model> model = engine_for(file).load(file, {}, {});
  EXPECT_EQ(model->memory_bytes(), 1000u);
  ModelOptions limited;
  limited.memory_bytes_max = 999;
  EXPECT_EQ(error_of([&] { open_engine("fake").load(file, limited, {}); })->code(),
            Code::kResourceExhausted);
  std::filesystem::remove(file);
  EXPECT_EQ(error_of([&] { open_engine("fake").load(file, {}, {}); })->code(), Code::kNotFound);
}

TEST(FakeFile, HoldsEveryOption) {
  const FakeOptions options = parse_fake(R"(
inputs:
  - {name: ids, dtype: INT64, shape: [batch, sequence]}
outputs:
  - {name: total, dtype: FP32, shape: [batch, 1]}
output: sum
latency_us: 100
latency_per_row_us: 10
jitter_us: 5
seed: 7
fail_every: 9
fail_value: -1.5
load_ms: 3
memory_bytes: 42
instance_ms: 4
instance_bytes: 43
first_run_us: 44
instances_max: 2
interruptible: false
)",
                                         "m.fake");
  EXPECT_EQ(options.signature.inputs[0].dtype, DType::kInt64);
  EXPECT_EQ(options.signature.inputs[0].shape, (Shape{-1, -1}));
  EXPECT_THAT(options.signature.inputs[0].dim_names, ElementsAre("batch", "sequence"));
  EXPECT_EQ(options.signature.outputs[0].shape, (Shape{-1, 1}));
  EXPECT_EQ(options.output, FakeOutput::kSum);
  EXPECT_EQ(options.latency, Duration(100us));
  EXPECT_EQ(options.latency_per_row, Duration(10us));
  EXPECT_EQ(options.jitter, Duration(5us));
  EXPECT_EQ(options.seed, 7u);
  EXPECT_EQ(options.fail_every, 9u);
  EXPECT_EQ(options.fail_value, -1.5);
  EXPECT_EQ(options.load_time, Duration(3ms));
  EXPECT_EQ(options.memory_bytes, 42u);
  EXPECT_EQ(options.instance_time, Duration(4ms));
  EXPECT_EQ(options.instance_bytes, 43u);
  EXPECT_EQ(options.first_run, Duration(44us));
  EXPECT_EQ(options.instances_max, 2u);
  EXPECT_FALSE(options.interruptible);
}

TEST(FakeFile, MistakesAreNamedWithFileAndLine) {
  const auto complaint = [](std::string_view text) {
    const std::optional<Error> error = error_of([&] { parse_fake(text, "m.fake"); });
    EXPECT_TRUE(error && error->code() == Code::kInvalidArgument) << text;
    return error ? error->message() : "";
  };
  EXPECT_THAT(complaint("seed: 1\nlatency: 5\n"),
              HasSubstr("m.fake:2: there is no option 'latency'"));
  EXPECT_THAT(complaint("latency_us: soon"), HasSubstr("m.fake:1: 'soon' is not a whole number"));
  EXPECT_THAT(complaint("latency_us: -5"), HasSubstr("a whole number is expected"));
  EXPECT_THAT(complaint("latency_us: 99999999999999"), HasSubstr("more than"));
  EXPECT_THAT(complaint("output: maximum"), HasSubstr("neither echo nor sum"));
  EXPECT_THAT(complaint("inputs: [{name: x, dtype: FLOAT, shape: [1]}]"),
              HasSubstr("no datatype 'FLOAT'"));
  EXPECT_THAT(complaint("inputs: [{name: x, dtype: FP32}]"), HasSubstr("shape"));
  EXPECT_THAT(complaint("inputs: [{name: x, dtype: FP32, shape: [-2]}]"), HasSubstr("no size"));
  EXPECT_THAT(complaint("inputs: [{name: x, dtype: FP32, shape: [1,1,1,1,1,1,1,1,1]}]"),
              HasSubstr("at most 8"));
  EXPECT_THAT(complaint("[1, 2]"), HasSubstr("map of options"));
  EXPECT_THAT(complaint("a: [1"), HasSubstr("m.fake:"));
}

}  // namespace
}  // namespace baozi::engine
