// What Instance::run costs over bare ONNX Runtime, on a model that only copies four floats (noop).
#include <benchmark/benchmark.h>
#include <onnxruntime_cxx_api.h>

#include <array>
#include <vector>

#include "baozi/engine/buffer_pool.h"
#include "baozi/engine/engine.h"
#include "baozi/engine/test_models.h"

namespace baozi::engine {
namespace {

// The bare library: values made once, over memory that stays the same.
void BareSessionRun(benchmark::State& state) {
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
  for (auto _ : state) session.Run(run_options, &input_name, &input, 1, &output_name, &output, 1);
}
BENCHMARK(BareSessionRun);

// The bare library as it is mostly used: a value for each input, outputs made by the library.
void BareSessionRunFreshValues(benchmark::State& state) {
  Ort::Env environment(ORT_LOGGING_LEVEL_WARNING, "bare");
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  Ort::Session session(environment, test_model("noop").c_str(), options);
  const auto memory = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
  std::array<float, 4> in{1, 2, 3, 4};
  const std::array<std::int64_t, 2> dims{1, 4};
  const char* input_name = "input";
  const char* output_name = "output";
  const Ort::RunOptions run_options;
  for (auto _ : state) {
    const Ort::Value input =
        Ort::Value::CreateTensor<float>(memory, in.data(), in.size(), dims.data(), dims.size());
    benchmark::DoNotOptimize(session.Run(run_options, &input_name, &input, 1, &output_name, 1));
  }
}
BENCHMARK(BareSessionRunFreshValues);

// Outputs are written in place.
void InstanceRunInPlace(benchmark::State& state) {
  const std::shared_ptr<Model> model = open_engine("onnx").load(test_model("noop"), {}, {});
  BufferPool pool({});
  const std::unique_ptr<Instance> instance = model->create_instance(pool);
  const std::vector<Tensor> inputs{Tensor::of<float>({1, 4}, {1, 2, 3, 4})};
  std::vector<Tensor> outputs(1);
  StopSource source;
  for (auto _ : state) instance->run(inputs, outputs, source.token());
}
BENCHMARK(InstanceRunInPlace);

// As a server does it: the output's memory comes from the pool and goes back; here always the same
// block.
void InstanceRunPooled(benchmark::State& state) {
  const std::shared_ptr<Model> model = open_engine("onnx").load(test_model("noop"), {}, {});
  BufferPool pool({});
  const std::unique_ptr<Instance> instance = model->create_instance(pool);
  const std::vector<Tensor> inputs{Tensor::of<float>({1, 4}, {1, 2, 3, 4})};
  std::vector<Tensor> outputs(1);
  StopSource source;
  for (auto _ : state) {
    outputs[0] = Tensor();
    instance->run(inputs, outputs, source.token());
  }
}
BENCHMARK(InstanceRunPooled);

// Inputs and outputs lie elsewhere in each run.
void InstanceRunChangingMemory(benchmark::State& state) {
  const std::shared_ptr<Model> model = open_engine("onnx").load(test_model("noop"), {}, {});
  BufferPool pool({});
  const std::unique_ptr<Instance> instance = model->create_instance(pool);
  std::array<std::vector<Tensor>, 2> inputs;
  std::array<std::vector<Tensor>, 2> outputs;
  for (std::size_t i = 0; i < 2; ++i) {
    inputs[i].push_back(Tensor::of<float>({1, 4}, {1, 2, 3, 4}));
    outputs[i].push_back(Tensor::allocate(DType::kFp32, {1, 4}));
  }
  StopSource source;
  std::size_t turn = 0;
  for (auto _ : state) {
    turn ^= 1;
    instance->run(inputs[turn], outputs[turn], source.token());
  }
}
BENCHMARK(InstanceRunChangingMemory);

}  // namespace
}  // namespace baozi::engine
