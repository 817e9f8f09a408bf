// Prepared models against the same ones unprepared: nothing may tell them apart but the time.
#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/engine/engine.h"
#include "baozi/engine/scratch_folder.h"
#include "baozi/engine/test_models.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using State = Preparation::State;

std::optional<Error> error_of(const std::function<void()>& action) {
  try {
    action();
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  }
}

// What is logged while it lives.
class LoggedText {
 public:
  LoggedText() { log().sinks().push_back(sink_); }
  ~LoggedText() { std::erase(log().sinks(), sink_); }
  LoggedText(const LoggedText&) = delete;
  LoggedText& operator=(const LoggedText&) = delete;
  std::string text() const { return stream_.str(); }

 private:
  std::ostringstream stream_;
  const spdlog::sink_ptr sink_ = std::make_shared<spdlog::sinks::ostream_sink_mt>(stream_);
};

// Numbers that mean something to every model there is: small, positive, whole for whole types, and
// not all the same.
Tensor sample(const TensorSpec& spec, std::int64_t free) {
  Shape shape = spec.shape;
  for (std::size_t d = 0; d < shape.rank(); ++d) {
    if (shape[d] < 0) shape[d] = d == 0 ? 1 + free / 64 : free;
  }
  if (spec.dtype == DType::kBytes) {
    const std::vector<std::string_view> texts(static_cast<std::size_t>(shape.elements()), "bun");
    return Tensor::of_strings(shape, texts);
  }
  Tensor tensor = Tensor::allocate(spec.dtype, shape);
  if (spec.dtype == DType::kFp32) {
    float value = 0;
    for (float& each : tensor.mutable_values<float>())
      each = (value = value < 1 ? value + 0.01f : 0);
  } else if (spec.dtype == DType::kInt64) {
    std::int64_t value = 0;
    for (std::int64_t& each : tensor.mutable_values<std::int64_t>()) each = value = 1 - value;
  } else {
    for (std::size_t i = 0; i < tensor.data().size(); ++i)
      tensor.mutable_data().mutable_data()[i] = std::byte(i % 2);
  }
  return tensor;
}

std::vector<Tensor> run(Model& model, std::int64_t free) {
  std::vector<Tensor> inputs;
  for (const TensorSpec& spec : model.signature().inputs) inputs.push_back(sample(spec, free));
  std::vector<Tensor> outputs(model.signature().outputs.size());
  model.create_instance(heap_allocator())->run(inputs, outputs, {});
  return outputs;
}

// To the bit, so that NaN equals NaN.
void expect_same(const std::vector<Tensor>& left, const std::vector<Tensor>& right) {
  ASSERT_EQ(left.size(), right.size());
  for (std::size_t i = 0; i < left.size(); ++i) {
    EXPECT_EQ(left[i].shape(), right[i].shape());
    ASSERT_EQ(left[i].data().size(), right[i].data().size());
    EXPECT_EQ(std::memcmp(left[i].data().data(), right[i].data().data(), left[i].data().size()), 0);
  }
}

void expect_same(const std::vector<TensorSpec>& left, const std::vector<TensorSpec>& right) {
  ASSERT_EQ(left.size(), right.size());
  for (std::size_t i = 0; i < left.size(); ++i) {
    EXPECT_EQ(left[i].name, right[i].name);
    EXPECT_EQ(left[i].dtype, right[i].dtype);
    EXPECT_EQ(left[i].shape, right[i].shape);
    EXPECT_EQ(left[i].dim_names, right[i].dim_names);
  }
}

class OnnxPreparedTest : public testing::Test {
 protected:
  ModelOptions options() const {
    ModelOptions options;
    options.prepared.folder = folder_.path() / "store";
    return options;
  }
  std::shared_ptr<Model> load(const fs::path& file) const { return load(file, options()); }
  std::shared_ptr<Model> load(const fs::path& file, const ModelOptions& options) const {
    return open_engine("onnx").load(file, options, {});
  }
  Preparation prepare(const fs::path& file) const {
    return open_engine("onnx").prepare(file, options(), {});
  }
  // A copy of a model that may be changed.
  fs::path copied(std::string_view name) const {
    const fs::path to = folder_.path() / "models" / name;
    fs::create_directories(to.parent_path());
    fs::copy(test_model(name).parent_path(), to, fs::copy_options::recursive);
    return to / "model.onnx";
  }
  std::size_t artefacts() const {
    std::error_code none;
    const fs::directory_iterator entries(folder_.path() / "store", none);
    return none ? 0
                : static_cast<std::size_t>(std::ranges::count_if(
                      begin(entries), end(entries),
                      [](const fs::directory_entry& entry) { return entry.is_directory(); }));
  }

  const ScratchFolder folder_;
};

// Every model that setup prepares, so that a new one is covered from its first day.
class EveryModel : public OnnxPreparedTest, public testing::WithParamInterface<std::string> {};

TEST_P(EveryModel, IsTheSamePrepared) {
  const fs::path file = cache_folder() / "models" / GetParam();
  const std::shared_ptr<Model> whole = load(file);
  ASSERT_FALSE(whole->prepared());
  const Preparation made = prepare(file);
  ASSERT_EQ(made.state, State::kMade) << made.why;
  EXPECT_GT(made.bytes, 0u);
  const std::shared_ptr<Model> model = load(file);
  ASSERT_TRUE(model->prepared());
  expect_same(model->signature().inputs, whole->signature().inputs);
  expect_same(model->signature().outputs, whole->signature().outputs);
  EXPECT_EQ(model->metadata(), whole->metadata());
  EXPECT_EQ(model->memory_bytes(), whole->memory_bytes());
  for (const std::int64_t free : {32, 64}) expect_same(run(*model, free), run(*whole, free));
  EXPECT_EQ(prepare(file).state, State::kThere);
}

std::vector<std::string> every_model() {
  std::vector<std::string> files;
  const fs::path models = cache_folder() / "models";
  std::error_code none;
  for (const auto& entry : fs::recursive_directory_iterator(models, none)) {
    if (entry.path().extension() == ".onnx")
      files.push_back(entry.path().lexically_relative(models).string());
  }
  std::ranges::sort(files);
  return files;
}

INSTANTIATE_TEST_SUITE_P(All, EveryModel, testing::ValuesIn(every_model()), [](const auto& given) {
  std::string name = given.param;
  std::ranges::replace_if(name, [](char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

TEST_F(OnnxPreparedTest, IsOffWithoutAFolder) {
  const Preparation made = open_engine("onnx").prepare(test_model("noop"), {}, {});
  EXPECT_EQ(made.state, State::kNone);
  EXPECT_THAT(made.why, HasSubstr("no folder"));
  EXPECT_FALSE(load(test_model("noop"), {})->prepared());
}

TEST_F(OnnxPreparedTest, EveryOptionThatMattersHasItsOwn) {
  const fs::path file = test_model("efficientnet_lite0");
  ModelOptions basic = options();
  basic.optimization_level = 1;
  ModelOptions entry = options();
  entry.session_config["session.set_denormal_as_zero"] = "1";
  ModelOptions threads = options();
  threads.threads = 2;
  prepare(file);
  EXPECT_FALSE(load(file, basic)->prepared());
  EXPECT_FALSE(load(file, entry)->prepared());
  EXPECT_TRUE(load(file, threads)->prepared());
  const std::vector<Tensor> plain = [&] {
    ModelOptions unprepared = basic;
    unprepared.prepared = {};
    return run(*load(file, unprepared), 32);
  }();
  EXPECT_EQ(open_engine("onnx").prepare(file, basic, {}).state, State::kMade);
  ASSERT_TRUE(load(file, basic)->prepared());
  expect_same(run(*load(file, basic), 32), plain);
}

TEST_F(OnnxPreparedTest, OtherProvidersKeepTheirOwn) {
  ModelOptions cuda = options();
  cuda.providers = {{.name = "cuda", .options = {}, .library = {}}};
  const Preparation made = open_engine("onnx").prepare(test_model("noop"), cuda, {});
  EXPECT_EQ(made.state, State::kNone);
  EXPECT_THAT(made.why, HasSubstr("'cuda'"));
  ModelOptions own = options();
  own.session_config["session.save_model_format"] = "ORT";
  EXPECT_THAT(open_engine("onnx").prepare(test_model("noop"), own, {}).why,
              HasSubstr("session.save_model_format"));
  EXPECT_EQ(artefacts(), 0u);
}

TEST_F(OnnxPreparedTest, WhatIsNoModelIsRefusedAsByALoad) {
  for (const char* name : {"truncated", "unknown_op", "external_missing", "external_escape"}) {
    SCOPED_TRACE(name);
    const fs::path file = hostile_model(name);
    const std::optional<Error> loading = error_of([&] { load(file); });
    const std::optional<Error> preparing = error_of([&] { prepare(file); });
    ASSERT_TRUE(loading && preparing);
    EXPECT_EQ(preparing->code(), loading->code());
    EXPECT_EQ(preparing->message(), loading->message());
  }
  EXPECT_EQ(error_of([&] { prepare("/nonexistent/model.onnx"); })->code(), Code::kNotFound);
  EXPECT_EQ(artefacts(), 0u);
}

TEST_F(OnnxPreparedTest, ItsLimitOfMemoryHoldsPrepared) {
  const fs::path file = test_model("efficientnet_lite0");
  prepare(file);
  ModelOptions tight = options();
  tight.memory_bytes_max = 1000;
  EXPECT_EQ(error_of([&] { load(file, tight); })->code(), Code::kResourceExhausted);
}

TEST_F(OnnxPreparedTest, ADamagedOneIsNotUsedAndMadeAgain) {
  const fs::path file = test_model("efficientnet_lite0");
  const std::vector<Tensor> answer = run(*load(file), 32);
  for (const bool cut : {true, false}) {
    const fs::path weights = prepare(file).folder / "weights.bin";
    if (cut) {
      fs::resize_file(weights, fs::file_size(weights) - 1);
    } else {
      std::fstream stream(weights, std::ios::in | std::ios::out | std::ios::binary);
      stream.seekp(1'000'000);
      stream.put('\x55');
    }
    const LoggedText logged;
    const std::shared_ptr<Model> model = load(file);
    EXPECT_FALSE(model->prepared());
    expect_same(run(*model, 32), answer);
    EXPECT_THAT(logged.text(), HasSubstr("damaged"));
    EXPECT_EQ(artefacts(), 0u);
  }
  EXPECT_EQ(prepare(file).state, State::kMade);
  EXPECT_TRUE(load(file)->prepared());
}

TEST_F(OnnxPreparedTest, AModelThatWasReplacedIsAnother) {
  const fs::path file = copied("two_versions");
  prepare(file);
  ASSERT_TRUE(load(file)->prepared());
  const std::vector<Tensor> before = run(*load(file), 32);
  fs::copy_file(cache_folder() / "models/two_versions/3/model.onnx", file,
                fs::copy_options::overwrite_existing);
  const std::shared_ptr<Model> after = load(file);
  EXPECT_FALSE(after->prepared());
  EXPECT_NE(run(*after, 32)[0].values<float>()[1], before[0].values<float>()[1]);
  EXPECT_EQ(prepare(file).state, State::kMade);
  EXPECT_EQ(artefacts(), 2u);
}

// Its content was read before ONNX Runtime reads it, and need not be the same any more.
TEST_F(OnnxPreparedTest, AModelThatChangesMeanwhileIsNotKept) {
  const fs::path file = copied("minilm");
  std::thread writer([&] {
    while (artefacts() == 0) std::this_thread::yield();  // the folder that is being filled
    std::ofstream(file.parent_path() / "weights.bin", std::ios::app | std::ios::binary) << "x";
  });
  const std::optional<Error> error = error_of([&] { prepare(file); });
  writer.join();
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kAborted) << error->message();
  EXPECT_EQ(artefacts(), 0u);
}

TEST_F(OnnxPreparedTest, WeightsBesideAModelBelongToIt) {
  const fs::path file = copied("external_data");
  prepare(file);
  ASSERT_TRUE(load(file)->prepared());
  std::fstream stream(file.parent_path() / "weights.bin",
                      std::ios::in | std::ios::out | std::ios::binary);
  const float three = 3;
  stream.write(reinterpret_cast<const char*>(&three), sizeof three);
  stream.close();
  const std::shared_ptr<Model> model = load(file);
  EXPECT_FALSE(model->prepared());
  fs::remove(file.parent_path() / "weights.bin");
  EXPECT_EQ(error_of([&] { load(file); })->code(), Code::kInvalidArgument);
}

TEST_F(OnnxPreparedTest, CopiesOfAModelShareOne) {
  prepare(test_model("add_sub"));
  EXPECT_TRUE(load(copied("add_sub"))->prepared());
  EXPECT_EQ(artefacts(), 1u);
}

TEST_F(OnnxPreparedTest, StopsWhenAskedToAndLeavesNothing) {
  for (const int after_ms : {0, 20, 100, 300}) {
    StopSource stop;
    std::thread stopper([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(after_ms));
      stop.request_stop();
    });
    const std::optional<Error> error = error_of(
        [&] { open_engine("onnx").prepare(test_model("minilm"), options(), stop.token()); });
    stopper.join();
    if (!error) break;  // a quick machine
    EXPECT_EQ(error->code(), Code::kCancelled) << error->message();
    EXPECT_EQ(artefacts(), 0u);
  }
}

TEST_F(OnnxPreparedTest, TwoThreadsPrepareOneModelOnce) {
  Preparation made[2];
  std::thread other([&] { made[1] = prepare(test_model("ocr_cls")); });
  made[0] = prepare(test_model("ocr_cls"));
  other.join();
  EXPECT_NE(made[0].state, made[1].state);
  EXPECT_EQ(made[0].folder, made[1].folder);
  EXPECT_EQ(artefacts(), 1u);
}

TEST_F(OnnxPreparedTest, TakesNoMoreRoomThanItMay) {
  ModelOptions small = options();
  small.prepared.bytes_max = 1000;
  const std::optional<Error> error =
      error_of([&] { open_engine("onnx").prepare(test_model("ocr_cls"), small, {}); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), Code::kResourceExhausted);
  EXPECT_THAT(error->message(), HasSubstr("bytes_max"));
  EXPECT_FALSE(load(test_model("ocr_cls"), small)->prepared());
}

}  // namespace
}  // namespace baozi::engine
