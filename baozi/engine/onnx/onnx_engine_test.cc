// The ONNX engine as programs use it: opened by name, over the models that setup prepares.
#include <gmock/gmock.h>
#include <onnxruntime_cxx_api.h>

#include <array>
#include <chrono>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/buffer_pool.h"
#include "baozi/engine/counting_new.h"
#include "baozi/engine/engine.h"
#include "baozi/engine/onnx_file/onnx_writer.h"
#include "baozi/engine/scratch_folder.h"
#include "baozi/engine/test_models.h"

// A model that asks for terabytes must get "no memory" from the sanitizers' allocators too, instead
// of an abort.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;
using namespace onnx_writer;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::optional<Error> error_of(const std::function<void()>& action) {
  try {
    action();
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  }
}

class CountingAllocator final : public Allocator {
 public:
  Bytes allocate(std::size_t size) override {
    ++calls;
    last = Bytes::allocate(size);
    return last;
  }
  int calls = 0;
  Bytes last;
};

std::shared_ptr<Model> load(const fs::path& file, const ModelOptions& options = {}) {
  return open_engine("onnx").load(file, options, {});
}

std::vector<Tensor> run(Instance& instance, const std::vector<Tensor>& inputs, std::size_t outputs,
                        StopToken stop = {}) {
  std::vector<Tensor> results(outputs);
  instance.run(inputs, results, stop);
  return results;
}

TEST(OnnxEngine, IsFoundByNameAndByFile) {
  Engine& engine = open_engine("onnx");
  EXPECT_EQ(engine.name(), "onnx");
  EXPECT_EQ(&engine_for("some/model.onnx"), &engine);
  EXPECT_FALSE(engine.accepts("model.gguf"));
  EXPECT_THAT(engine.version(), StartsWith("1."));
}

TEST(OnnxEngine, ReadsTheSignatureWithTheNamesOfDimensions) {
  const std::shared_ptr<Model> model = load(test_model("add_sub"));
  const Signature& signature = model->signature();
  ASSERT_EQ(signature.inputs.size(), 2u);
  ASSERT_EQ(signature.outputs.size(), 2u);
  EXPECT_EQ(signature.inputs[0].name, "a");
  EXPECT_EQ(signature.inputs[0].dtype, DType::kFp32);
  EXPECT_EQ(signature.inputs[0].shape, (Shape{-1, 4}));
  EXPECT_THAT(signature.inputs[0].dim_names, ElementsAre("N", ""));
  EXPECT_EQ(signature.output_index("difference"), 1);
  EXPECT_TRUE(signature.batchable());
  EXPECT_TRUE(model->capabilities().interruptible);
}

TEST(OnnxEngine, ReadsMetadata) {
  const ScratchFolder folder;
  const std::string graph = message(1, node("Identity", {"x"}, "y")) +
                            message(11, value_info("x", {"N"})) +
                            message(12, value_info("y", {"N"}));
  const std::shared_ptr<Model> loaded = load(folder.write("m.onnx", model(graph)));
  EXPECT_EQ(loaded->metadata().at("colour"), "green");
  EXPECT_EQ(loaded->metadata().at("producer"), "baozi tests");
}

TEST(OnnxEngine, EstimatesMemoryFromTheFilesAndKeepsItsLimitBeforeLoading) {
  const std::shared_ptr<Model> model = load(test_model("external_data"));
  const std::size_t files = fs::file_size(test_model("external_data")) + 64;
  EXPECT_GE(model->memory_bytes(), files);
  EXPECT_LE(model->memory_bytes(), files + 1024);
  ModelOptions options;
  options.memory_bytes_max = files - 1;
  const std::optional<Error> error = error_of([&] { load(test_model("external_data"), options); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kResourceExhausted);
  EXPECT_THAT(error->message(), HasSubstr("memory_bytes_max"));
  options.memory_bytes_max = files;
  EXPECT_NO_THROW(load(test_model("external_data"), options));
}

TEST(OnnxInstance, Computes) {
  const std::shared_ptr<Model> model = load(test_model("add_sub"));
  const std::unique_ptr<Instance> instance = model->create_instance(heap_allocator());
  const std::vector<Tensor> outputs = run(
      *instance,
      {Tensor::of<float>({1, 4}, {1, 2, 3, 4}), Tensor::of<float>({1, 4}, {10, 20, 30, 40})}, 2);
  EXPECT_THAT(outputs[0].values<float>(), ElementsAre(11, 22, 33, 44));
  EXPECT_THAT(outputs[1].values<float>(), ElementsAre(-9, -18, -27, -36));
}

struct TypeCase {
  const char* model;
  DType dtype;
};

class OnnxTypes : public ::testing::TestWithParam<TypeCase> {};

TEST_P(OnnxTypes, PassUnchanged) {
  const std::shared_ptr<Model> model = load(test_model(GetParam().model));
  ASSERT_EQ(model->signature().inputs[0].dtype, GetParam().dtype);
  const std::unique_ptr<Instance> instance = model->create_instance(heap_allocator());
  Tensor input = Tensor::allocate(GetParam().dtype, {2, 3});
  for (std::size_t i = 0; i < input.data().size(); ++i)
    input.mutable_data().mutable_data()[i] = std::byte(i % 2);
  for (int repeat = 0; repeat < 2; ++repeat) {
    const std::vector<Tensor> outputs = run(*instance, {input}, 1);
    EXPECT_EQ(outputs[0].dtype(), GetParam().dtype);
    EXPECT_EQ(outputs[0].shape(), (Shape{2, 3}));
    EXPECT_EQ(std::memcmp(outputs[0].data().data(), input.data().data(), input.data().size()), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, OnnxTypes,
    ::testing::Values(
        TypeCase{"identity_bool", DType::kBool}, TypeCase{"identity_uint8", DType::kUint8},
        TypeCase{"identity_uint16", DType::kUint16}, TypeCase{"identity_uint32", DType::kUint32},
        TypeCase{"identity_uint64", DType::kUint64}, TypeCase{"identity_int8", DType::kInt8},
        TypeCase{"identity_int16", DType::kInt16}, TypeCase{"identity_int32", DType::kInt32},
        TypeCase{"identity_int64", DType::kInt64}, TypeCase{"identity_fp16", DType::kFp16},
        TypeCase{"identity_bf16", DType::kBf16}, TypeCase{"identity_fp32", DType::kFp32},
        TypeCase{"identity_fp64", DType::kFp64}),
    [](const auto& given) { return std::string(given.param.model); });

TEST(OnnxInstance, PassesStringsWithZeroBytesAndOfNoLength) {
  const std::shared_ptr<Model> model = load(test_model("identity_string"));
  EXPECT_EQ(model->signature().inputs[0].dtype, DType::kBytes);
  const std::unique_ptr<Instance> instance = model->create_instance(heap_allocator());
  using namespace std::string_view_literals;
  const Tensor input = Tensor::of_strings({2, 2}, {"bun"sv, ""sv, "a\0b"sv, "包子"sv});
  const std::vector<Tensor> outputs = run(*instance, {input}, 1);
  EXPECT_EQ(outputs[0].shape(), (Shape{2, 2}));
  EXPECT_THAT(outputs[0].strings(), ElementsAre("bun"sv, ""sv, "a\0b"sv, "包子"sv));
  EXPECT_EQ(run(*instance, {Tensor::of_strings({0, 2}, {})}, 1)[0].shape(), (Shape{0, 2}));
}

TEST(OnnxInstance, WritesIntoMemoryTheCallerGave) {
  const std::shared_ptr<Model> model = load(test_model("noop"));
  const std::unique_ptr<Instance> instance = model->create_instance(heap_allocator());
  const std::vector<Tensor> inputs{Tensor::of<float>({1, 4}, {1, 2, 3, 4})};
  std::vector<Tensor> outputs{Tensor::allocate(DType::kFp32, {1, 4})};
  const std::byte* const at = outputs[0].data().data();
  instance->run(inputs, outputs, {});
  EXPECT_EQ(outputs[0].data().data(), at);
  EXPECT_THAT(outputs[0].values<float>(), ElementsAre(1, 2, 3, 4));
}

TEST(OnnxInstance, ReplacesAnOutputOfAnotherShape) {
  const std::shared_ptr<Model> model = load(test_model("noop"));
  const std::unique_ptr<Instance> instance = model->create_instance(heap_allocator());
  const std::vector<Tensor> inputs{Tensor::of<float>({1, 4}, {1, 2, 3, 4})};
  std::vector<Tensor> outputs{Tensor::allocate(DType::kFp32, {3, 4})};
  instance->run(inputs, outputs, {});
  EXPECT_EQ(outputs[0].shape(), (Shape{1, 4}));
  EXPECT_THAT(outputs[0].values<float>(), ElementsAre(1, 2, 3, 4));
}

TEST(OnnxInstance, TakesOutputsFromTheAllocatorWhenTheInputsTellTheirShape) {
  CountingAllocator allocator;
  const std::shared_ptr<Model> model = load(test_model("dynamic_seq"));
  const std::unique_ptr<Instance> instance = model->create_instance(allocator);
  for (const std::int64_t length : {1, 7, 3}) {
    const int before = allocator.calls;
    const Tensor input = Tensor::of<float>(
        {2, length}, std::vector<float>(static_cast<std::size_t>(2 * length), 1.0f));
    const std::vector<Tensor> outputs = run(*instance, {input}, 2);
    EXPECT_EQ(outputs[0].shape(), (Shape{2, 1}));
    EXPECT_EQ(outputs[1].shape(), (Shape{2, length}));
    EXPECT_THAT(outputs[0].values<float>(), ElementsAre(length, length));
    EXPECT_EQ(allocator.calls - before, 2);
    EXPECT_EQ(outputs[1].data().data(), allocator.last.data());
  }
}

// NonZero's result has as many columns as there are non-zero elements.
TEST(OnnxInstance, HandsOnOutputsWhoseShapeOnlyTheRunTells) {
  const ScratchFolder folder;
  const std::string graph = message(1, node("NonZero", {"x"}, "y")) +
                            message(11, value_info("x", {"N"})) +
                            message(12, value_info("y", {"R", "K"}, 7));
  std::shared_ptr<Model> loaded = load(folder.write("m.onnx", model(graph)));
  CountingAllocator allocator;
  std::unique_ptr<Instance> instance = loaded->create_instance(allocator);
  std::vector<Tensor> first = run(*instance, {Tensor::of<float>({4}, {0, 1, 0, 1})}, 1);
  std::vector<Tensor> second = run(*instance, {Tensor::of<float>({3}, {1, 1, 1})}, 1);
  EXPECT_EQ(run(*instance, {Tensor::of<float>({1}, {0})}, 1)[0].shape(), (Shape{1, 0}));
  EXPECT_EQ(allocator.calls, 0) << "the memory is ONNX Runtime's own";
  instance.reset();
  loaded.reset();
  EXPECT_THAT(first[0].values<std::int64_t>(), ElementsAre(1, 3))
      << "the tensor must keep its memory alive";
  EXPECT_THAT(second[0].values<std::int64_t>(), ElementsAre(0, 1, 2));
}

// The file says that the output has as many rows as the input; it has twice as many.
TEST(OnnxInstance, SurvivesDimensionNamesThatLie) {
  const ScratchFolder folder;
  const std::string graph = message(1, node("Concat", {"x", "x"}, "y", int_attribute("axis", 0))) +
                            message(11, value_info("x", {"N"})) +
                            message(12, value_info("y", {"N"}));
  const std::shared_ptr<Model> loaded = load(folder.write("m.onnx", model(graph)));
  ASSERT_THAT(loaded->signature().outputs[0].dim_names, ElementsAre("N"));
  const std::unique_ptr<Instance> instance = loaded->create_instance(heap_allocator());
  for (int repeat = 0; repeat < 2; ++repeat) {
    const std::vector<Tensor> outputs = run(*instance, {Tensor::of<float>({2}, {1, 2})}, 1);
    EXPECT_THAT(outputs[0].values<float>(), ElementsAre(1, 2, 1, 2));
  }
}

TEST(OnnxInstance, CopiesInputsThatDoNotStartWhereTheirElementsNeedIt) {
  const std::shared_ptr<Model> model = load(test_model("noop"));
  const std::unique_ptr<Instance> instance = model->create_instance(heap_allocator());
  const std::array<float, 4> values{1, 2, 3, 4};
  Bytes body = Bytes::allocate(1 + sizeof values);
  std::memcpy(body.mutable_data() + 1, values.data(), sizeof values);
  const Tensor input(DType::kFp32, {1, 4}, body.slice(1, sizeof values));
  EXPECT_THAT(run(*instance, {input}, 1)[0].values<float>(), ElementsAre(1, 2, 3, 4));
}

TEST(OnnxInstance, TakesBatchesOfNoRows) {
  const std::shared_ptr<Model> model = load(test_model("noop"));
  const std::unique_ptr<Instance> instance = model->create_instance(heap_allocator());
  EXPECT_EQ(run(*instance, {Tensor::of<float>({0, 4}, {})}, 1)[0].shape(), (Shape{0, 4}));
}

TEST(OnnxInstance, RefusesInputsThatDoNotFit) {
  const std::shared_ptr<Model> model = load(test_model("noop"));
  const std::unique_ptr<Instance> instance = model->create_instance(heap_allocator());
  const auto refused = [&](const std::vector<Tensor>& inputs, std::size_t outputs) {
    const std::optional<Error> error = error_of([&] { run(*instance, inputs, outputs); });
    EXPECT_TRUE(error && error->code() == Code::kInvalidArgument);
    return error ? error->message() : "";
  };
  EXPECT_EQ(refused({Tensor::of<float>({1, 3}, {1, 2, 3})}, 1),
            "tensor 'input' is FP32 [1,3], but the model wants FP32 [N,4]");
  EXPECT_THAT(refused({Tensor::of<double>({1, 4}, {1, 2, 3, 4})}, 1), HasSubstr("FP64"));
  EXPECT_THAT(refused({}, 1), HasSubstr("1 inputs"));
  EXPECT_THAT(refused({Tensor::of<float>({1, 4}, {1, 2, 3, 4})}, 2), HasSubstr("1 outputs"));
  EXPECT_NO_THROW(run(*instance, {Tensor::of<float>({1, 4}, {1, 2, 3, 4})}, 1));
}

TEST(OnnxInstance, AnOperatorThatFailsIsTheCallersMistake) {
  const ScratchFolder folder;
  const std::string graph =
      message(1, node("Gather", {"x", "i"}, "y")) + message(11, value_info("x", {"N"})) +
      message(11, value_info("i", {"K"}, 7)) + message(12, value_info("y", {"K"}));
  const fs::path file = folder.write("m.onnx", model(graph));
  const std::unique_ptr<Instance> instance = load(file)->create_instance(heap_allocator());
  const Tensor x = Tensor::of<float>({2}, {5, 6});
  const std::optional<Error> error =
      error_of([&] { run(*instance, {x, Tensor::of<std::int64_t>({1}, {7})}, 1); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kInvalidArgument);
  EXPECT_THAT(error->message(), StartsWith(file.string()));
  EXPECT_THAT(run(*instance, {x, Tensor::of<std::int64_t>({1}, {1})}, 1)[0].values<float>(),
              ElementsAre(6));
}

TEST(OnnxInstance, RefusesToAllocateWhatTheMachineLacks) {
  const std::shared_ptr<Model> model = load(hostile_model("absurd_output"));
  const std::unique_ptr<Instance> instance = model->create_instance(heap_allocator());
  const std::optional<Error> error =
      error_of([&] { run(*instance, {Tensor::of<std::int64_t>({1}, {1})}, 1); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kResourceExhausted) << error->message();
  EXPECT_EQ(run(*instance, {Tensor::of<std::int64_t>({1}, {0})}, 1)[0].shape(), (Shape{0}));
}

// slow_loop computes for many seconds unless it is stopped.
TEST(OnnxInstance, EndsEarlyWhenAskedToStopAndStaysUsable) {
  const std::shared_ptr<Model> model = load(test_model("slow_loop"));
  const std::unique_ptr<Instance> instance = model->create_instance(heap_allocator());
  for (const Code reason : {Code::kCancelled, Code::kDeadlineExceeded}) {
    StopSource source;
    std::thread stopper([&] {
      std::this_thread::sleep_for(milliseconds(30));
      source.request_stop(reason);
    });
    const auto start = std::chrono::steady_clock::now();
    const std::optional<Error> error = error_of(
        [&] { run(*instance, {Tensor::of<std::int64_t>({1}, {1'000'000})}, 1, source.token()); });
    stopper.join();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), reason) << error->message();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
    EXPECT_EQ(run(*instance, {Tensor::of<std::int64_t>({1}, {1})}, 1)[0].shape(), (Shape{1}));
  }
}

TEST(OnnxInstance, DoesNotStartWhenStoppedBefore) {
  const std::shared_ptr<Model> model = load(test_model("noop"));
  const std::unique_ptr<Instance> instance = model->create_instance(heap_allocator());
  StopSource source;
  source.request_stop(Code::kDeadlineExceeded);
  const std::optional<Error> error = error_of(
      [&] { run(*instance, {Tensor::of<float>({1, 4}, {1, 2, 3, 4})}, 1, source.token()); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kDeadlineExceeded);
  EXPECT_EQ(
      error_of([&] { open_engine("onnx").load(test_model("noop"), {}, source.token()); })->code(),
      Code::kDeadlineExceeded);
}

TEST(OnnxInstance, InstancesOfOneModelRunBesideEachOther) {
  const std::shared_ptr<Model> model = load(test_model("dynamic_seq"));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&model, t] {
      const std::unique_ptr<Instance> instance = model->create_instance(heap_allocator());
      for (std::int64_t i = 1; i < 200; ++i) {
        const auto count = static_cast<std::size_t>(i);
        const Tensor input =
            Tensor::of<float>({1, i}, std::vector<float>(count, static_cast<float>(t)));
        const std::vector<Tensor> outputs = run(*instance, {input}, 2);
        ASSERT_EQ(outputs[0].values<float>()[0], static_cast<float>(t) * static_cast<float>(i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// What is left is ONNX Runtime's own: the same number as for the bare library with values that stay
// bound.
TEST(OnnxInstance, AllocatesNothingOfItsOwnInSteadyState) {
  constexpr int kRuns = 100;
  const std::shared_ptr<Model> model = load(test_model("noop"));
  BufferPool pool({.bytes_max = 1 << 20, .option = "x", .reserve = {{64, 8}}});
  const std::unique_ptr<Instance> instance = model->create_instance(pool);
  const std::vector<Tensor> inputs{Tensor::of<float>({1, 4}, {1, 2, 3, 4})};
  std::vector<Tensor> outputs(1);
  StopSource source;
  const auto once = [&] {
    outputs[0] = Tensor();
    instance->run(inputs, outputs, source.token());
  };
  for (int i = 0; i < 10; ++i) once();
  const std::size_t before_ours = counting_new::count();
  for (int i = 0; i < kRuns; ++i) once();
  const std::size_t ours = counting_new::count() - before_ours;

  Ort::Env environment(ORT_LOGGING_LEVEL_WARNING, "bare");
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  Ort::Session session(environment, test_model("noop").c_str(), options);
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
  std::array<float, 4> in{1, 2, 3, 4};
  std::array<float, 4> out{};
  const std::array<std::int64_t, 2> dims{1, 4};
  const Ort::Value input =
      Ort::Value::CreateTensor<float>(memory, in.data(), in.size(), dims.data(), dims.size());
  Ort::Value output =
      Ort::Value::CreateTensor<float>(memory, out.data(), out.size(), dims.data(), dims.size());
  const char* input_name = "input";
  const char* output_name = "output";
  const Ort::RunOptions run_options;
  const auto bare = [&] {
    session.Run(run_options, &input_name, &input, 1, &output_name, &output, 1);
  };
  for (int i = 0; i < 10; ++i) bare();
  const std::size_t before_bare = counting_new::count();
  for (int i = 0; i < kRuns; ++i) bare();
  const std::size_t theirs = counting_new::count() - before_bare;
  EXPECT_GT(theirs, 0u)
      << "the library's allocations are no longer counted, so this test says nothing";
  EXPECT_EQ(ours, theirs);
}

class HostileModels : public ::testing::TestWithParam<const char*> {};

TEST_P(HostileModels, AreRefusedByTheNameOfTheFile) {
  const fs::path file = hostile_model(GetParam());
  ASSERT_TRUE(fs::exists(file)) << file << " is missing: run `make setup`";
  for (const int level : {0, 99}) {
    ModelOptions options;
    options.optimization_level = level;
    const std::optional<Error> error = error_of([&] { load(file, options); });
    ASSERT_TRUE(error) << "loaded";
    EXPECT_EQ(error->code(), Code::kInvalidArgument) << error->message();
    EXPECT_THAT(error->message(), StartsWith(file.string()));
  }
}

INSTANTIATE_TEST_SUITE_P(All, HostileModels,
                         ::testing::Values("empty", "truncated", "random_bytes", "other_protobuf",
                                           "unknown_op", "unknown_domain", "cyclic",
                                           "absurd_weight", "wrong_type", "external_escape",
                                           "external_escape_far", "external_absolute",
                                           "external_missing"),
                         [](const auto& given) { return std::string(given.param); });

TEST(OnnxEngine, LoadsNoPrefixOfAModel) {
  const ScratchFolder folder;
  const std::string graph = message(1, node("Identity", {"x"}, "y")) +
                            message(11, value_info("x", {"N"})) +
                            message(12, value_info("y", {"N"}));
  const std::string opset = message(8, number(2, 17));
  const std::string whole = number(1, 8) + opset + message(7, message(2, "tiny") + graph);
  EXPECT_NO_THROW(load(folder.write("m.onnx", whole)));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_TRUE(error_of([&] { load(folder.write("m.onnx", whole.substr(0, size))); })) << size;
  }
}

TEST(OnnxEngine, AMissingFileIsNotFound) {
  const std::optional<Error> error = error_of([] { load("/nonexistent/model.onnx"); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kNotFound);
}

TEST(OnnxEngine, RefusesOptionsThatMakeNoSense) {
  ModelOptions threads;
  threads.threads = 0;
  EXPECT_EQ(error_of([&] { load(test_model("noop"), threads); })->code(), Code::kInvalidArgument);
  ModelOptions level;
  level.optimization_level = 7;
  EXPECT_EQ(error_of([&] { load(test_model("noop"), level); })->code(), Code::kInvalidArgument);
  ModelOptions entry;
  entry.session_config["session.load_model_format"] = "ORT";
  EXPECT_EQ(error_of([&] { load(test_model("noop"), entry); })->code(), Code::kInvalidArgument);
}

TEST(OnnxEngine, RunsWithSeveralThreadsAndExplicitCpuProvider) {
  ModelOptions options;
  options.threads = 2;
  options.providers = {{.name = "cpu", .options = {}, .library = {}}};
  const std::unique_ptr<Instance> instance =
      load(test_model("noop"), options)->create_instance(heap_allocator());
  EXPECT_THAT(run(*instance, {Tensor::of<float>({1, 4}, {1, 2, 3, 4})}, 1)[0].values<float>(),
              ElementsAre(1, 2, 3, 4));
}

Error provider_error(Provider provider) {
  ModelOptions options;
  options.providers = {std::move(provider)};
  const std::optional<Error> error = error_of([&] { load(test_model("noop"), options); });
  return error ? *error : Error(Code::kOk, "it was accepted");
}

TEST(OnnxProviders, OneThatIsNotThereSaysWhatIs) {
  for (const char* name : {"cuda", "tensorrt", "nv_tensorrt_rtx", "NoSuchProvider"}) {
    const Error error = provider_error({.name = name, .options = {}, .library = {}});
    EXPECT_EQ(error.code(), Code::kFailedPrecondition);
    EXPECT_THAT(error.message(), HasSubstr("'" + std::string(name) + "'"));
    EXPECT_THAT(error.message(), HasSubstr("CPUExecutionProvider"));
  }
}

TEST(OnnxProviders, AMissingLibraryIsNamed) {
  const Error error =
      provider_error({.name = "mine", .options = {}, .library = "/nonexistent/libmine.so"});
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("/nonexistent/libmine.so"));
}

TEST(OnnxProviders, ALibraryThatIsNoProviderIsRefused) {
  const fs::path foreign =
      fs::path(BAOZI_BINARY_DIR) / "test_plugins" / "libbaozi_engine_test_foreign.so";
  const Error error = provider_error({.name = "mine", .options = {}, .library = foreign});
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("was refused"));
}

TEST(OnnxProviders, TheCpuTakesNoOptions) {
  const Error error =
      provider_error({.name = "cpu", .options = {{"device_id", "0"}}, .library = {}});
  EXPECT_EQ(error.code(), Code::kFailedPrecondition);
  EXPECT_THAT(error.message(), HasSubstr("device_id"));
}

}  // namespace
}  // namespace baozi::engine
