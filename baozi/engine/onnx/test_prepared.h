// What the tests of prepared ONNX models share: a store of their own, samples, and what must be the
// same.
//
// Thread safety: one thread at a time.
#pragma once

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/engine/engine.h"
#include "baozi/engine/scratch_folder.h"
#include "baozi/engine/test_models.h"

namespace baozi::engine {

namespace fs = std::filesystem;

inline std::optional<Error> error_of(const std::function<void()>& action) {
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
inline Tensor sample(const TensorSpec& spec, std::int64_t free) {
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

inline std::vector<Tensor> run(Model& model, std::int64_t free) {
  std::vector<Tensor> inputs;
  for (const TensorSpec& spec : model.signature().inputs) inputs.push_back(sample(spec, free));
  std::vector<Tensor> outputs(model.signature().outputs.size());
  model.create_instance(heap_allocator())->run(inputs, outputs, {});
  return outputs;
}

// To the bit, so that NaN equals NaN.
inline void expect_same(const std::vector<Tensor>& left, const std::vector<Tensor>& right) {
  ASSERT_EQ(left.size(), right.size());
  for (std::size_t i = 0; i < left.size(); ++i) {
    EXPECT_EQ(left[i].shape(), right[i].shape());
    ASSERT_EQ(left[i].data().size(), right[i].data().size());
    EXPECT_EQ(std::memcmp(left[i].data().data(), right[i].data().data(), left[i].data().size()), 0);
  }
}

inline void expect_same(const std::vector<TensorSpec>& left, const std::vector<TensorSpec>& right) {
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
  Preparation prepare(const fs::path& file) const { return prepare(file, options()); }
  Preparation prepare(const fs::path& file, const ModelOptions& options) const {
    return open_engine("onnx").prepare(file, options, {});
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

// The files of all models that setup prepares, so that a new one is covered from its first day.
inline std::vector<std::string> every_model() {
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

inline std::string test_name(const testing::TestParamInfo<std::string>& given) {
  std::string name = given.param;
  std::ranges::replace_if(name, [](char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

}  // namespace baozi::engine
