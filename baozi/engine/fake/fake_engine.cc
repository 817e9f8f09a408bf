#include "baozi/engine/fake/fake_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/engine/registry.h"

namespace baozi::engine {
namespace {

constexpr std::size_t kFileBytesMax = 1 << 16;

// Until `duration` has passed or a stop is asked for; throws in the latter case.
void sleep_for(Duration duration, const StopToken& stop) {
  if (duration <= Duration::zero()) return throw_if_stopped(stop);
  std::mutex mutex;
  std::condition_variable woken;
  bool stopped = false;
  StopCallback on_stop(stop, [&]() noexcept {
    const std::lock_guard lock(mutex);
    stopped = true;
    woken.notify_one();
  });
  std::unique_lock lock(mutex);
  const Time end = Clock::now() + duration;
  while (!stopped && woken.wait_until(lock, end) != std::cv_status::timeout) {
  }
  lock.unlock();
  throw_if_stopped(stop);
}

// SplitMix64 (Steele, Lea, Flood 2014): a well-mixed number for each run, without a state that
// threads would share.
std::uint64_t mix(std::uint64_t value) noexcept {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

template <class T>
double as_double(T value) noexcept {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return static_cast<double>(to_float(value));
  } else {
    return static_cast<double>(value);
  }
}

template <class T>
T from_double(double value) noexcept {
  if constexpr (std::is_same_v<T, Half>) {
    return to_half(static_cast<float>(value));
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bfloat16(static_cast<float>(value));
  } else {
    return static_cast<T>(value);
  }
}

// Calls action.operator()<T>() with the element type; precondition: not kBytes.
template <class Action>
void with_type(DType dtype, Action action) {
  switch (dtype) {
    case DType::kBool:
      return action.template operator()<bool>();
    case DType::kUint8:
      return action.template operator()<std::uint8_t>();
    case DType::kUint16:
      return action.template operator()<std::uint16_t>();
    case DType::kUint32:
      return action.template operator()<std::uint32_t>();
    case DType::kUint64:
      return action.template operator()<std::uint64_t>();
    case DType::kInt8:
      return action.template operator()<std::int8_t>();
    case DType::kInt16:
      return action.template operator()<std::int16_t>();
    case DType::kInt32:
      return action.template operator()<std::int32_t>();
    case DType::kInt64:
      return action.template operator()<std::int64_t>();
    case DType::kFp16:
      return action.template operator()<Half>();
    case DType::kBf16:
      return action.template operator()<BFloat16>();
    case DType::kFp32:
      return action.template operator()<float>();
    case DType::kFp64:
      return action.template operator()<double>();
    case DType::kBytes:
      return;
  }
}

std::size_t row_count(const Tensor& tensor) noexcept {
  return tensor.shape().rank() == 0 ? 1 : static_cast<std::size_t>(tensor.shape()[0]);
}

class FakeModel final : public Model, public std::enable_shared_from_this<FakeModel> {
 public:
  explicit FakeModel(FakeOptions options) : options_(std::move(options)) {}

  const Signature& signature() const noexcept override { return options_.signature; }
  Capabilities capabilities() const noexcept override {
    return {.interruptible = options_.interruptible,
            .preallocated_outputs = true,
            .concurrent_instances = true};
  }
  std::size_t memory_bytes() const noexcept override { return options_.memory_bytes; }
  std::size_t instance_bytes() const noexcept override { return options_.instance_bytes; }
  const std::map<std::string, std::string>& metadata() const noexcept override { return metadata_; }
  std::unique_ptr<Instance> create_instance(Allocator& allocator) override;

  const FakeOptions& options() const noexcept { return options_; }
  std::uint64_t next_run() noexcept { return runs_.fetch_add(1, std::memory_order_relaxed) + 1; }
  void instance_ended() noexcept { instances_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  const FakeOptions options_;
  const std::map<std::string, std::string> metadata_;
  std::atomic<std::uint64_t> runs_{0};
  std::atomic<std::size_t> instances_{0};
};

class FakeInstance final : public Instance {
 public:
  FakeInstance(std::shared_ptr<FakeModel> model, Allocator& allocator)
      : model_(std::move(model)), options_(model_->options()), allocator_(allocator) {}
  ~FakeInstance() override { model_->instance_ended(); }

  void run(std::span<const Tensor> inputs, std::span<Tensor> outputs, StopToken stop) override {
    check(inputs, outputs);
    const std::uint64_t number = model_->next_run();
    take_time(inputs, number, stop);
    fail_when_told(inputs, number);
    if (options_.output == FakeOutput::kEcho) {
      echo(inputs, outputs);
    } else {
      sum(inputs, outputs);
    }
  }

 private:
  void check(std::span<const Tensor> inputs, std::span<Tensor> outputs) const {
    const Signature& signature = options_.signature;
    if (inputs.size() != signature.inputs.size() || outputs.size() != signature.outputs.size()) {
      throw Error(
          Code::kInvalidArgument,
          fmt::format("the fake model has {} inputs and {} outputs, but {} and {} were given",
                      signature.inputs.size(), signature.outputs.size(), inputs.size(),
                      outputs.size()));
    }
    for (std::size_t i = 0; i < inputs.size(); ++i) check_fits(signature.inputs[i], inputs[i]);
  }

  void take_time(std::span<const Tensor> inputs, std::uint64_t number, const StopToken& stop) {
    const auto rows = static_cast<Duration::rep>(row_count(inputs[0]));
    Duration duration = options_.latency + options_.latency_per_row * rows;
    if (std::exchange(first_, false)) duration += options_.first_run;
    if (options_.jitter > Duration::zero()) {
      const auto range = static_cast<std::uint64_t>(options_.jitter.count());
      duration += Duration(static_cast<Duration::rep>(mix(options_.seed ^ mix(number)) % range));
    }
    const StopToken token = options_.interruptible ? stop : StopToken();
    if (options_.sleep) {
      options_.sleep(duration, token);
    } else {
      sleep_for(duration, token);
    }
  }

  void fail_when_told(std::span<const Tensor> inputs, std::uint64_t number) const {
    if (options_.fail_every != 0 && number % options_.fail_every == 0) {
      throw Error(Code::kInternal,
                  fmt::format("the fake model fails on run {}, as its options say", number));
    }
    if (!options_.fail_value || inputs[0].dtype() == DType::kBytes) return;
    with_type(inputs[0].dtype(), [&]<class T>() {
      const std::span<const T> values = inputs[0].values<T>();
      const std::size_t rows = row_count(inputs[0]);
      for (std::size_t row = 0; row < rows && !values.empty(); ++row) {
        if (as_double(values[row * (values.size() / rows)]) != *options_.fail_value) continue;
        throw Error(Code::kInvalidArgument,
                    fmt::format("row {} begins with {}, on which the fake model fails", row,
                                *options_.fail_value));
      }
    });
  }

  void prepare(Tensor& output, DType dtype, const Shape& shape) const {
    if (output.data().data() != nullptr && output.dtype() == dtype && output.shape() == shape)
      return;
    output = Tensor::allocate(dtype, shape, allocator_);
  }

  void echo(std::span<const Tensor> inputs, std::span<Tensor> outputs) const {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const Tensor& input = inputs[std::min(i, inputs.size() - 1)];
      if (input.dtype() == DType::kBytes) {
        outputs[i] = input;
        continue;
      }
      prepare(outputs[i], input.dtype(), input.shape());
      if (!input.data().empty()) {
        std::memcpy(outputs[i].mutable_data().mutable_data(), input.data().data(),
                    input.data().size());
      }
    }
  }

  double row_sum(std::span<const Tensor> inputs, std::size_t row, std::size_t rows) const {
    double total = 0;
    for (const Tensor& input : inputs) {
      with_type(input.dtype(), [&]<class T>() {
        const std::span<const T> values = input.values<T>();
        const std::size_t width = values.size() / rows;
        for (const T value : values.subspan(row * width, width)) total += as_double(value);
      });
    }
    return total;
  }

  void sum(std::span<const Tensor> inputs, std::span<Tensor> outputs) const {
    const std::size_t rows = row_count(inputs[0]);
    for (const Tensor& input : inputs) {
      if (row_count(input) != rows)
        throw Error(Code::kInvalidArgument, "the inputs differ in their number of rows");
    }
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const TensorSpec& spec = options_.signature.outputs[i];
      Shape shape = spec.shape;
      for (std::size_t d = 0; d < shape.rank(); ++d) {
        if (shape[d] < 0) shape[d] = d == 0 ? static_cast<std::int64_t>(rows) : 1;
      }
      prepare(outputs[i], spec.dtype, shape);
      with_type(spec.dtype, [&]<class T>() {
        const std::span<T> values = outputs[i].mutable_values<T>();
        const std::size_t width = rows == 0 ? 0 : values.size() / rows;
        for (std::size_t row = 0; row < rows; ++row) {
          std::ranges::fill(values.subspan(row * width, width),
                            from_double<T>(row_sum(inputs, row, rows)));
        }
      });
    }
  }

  const std::shared_ptr<FakeModel> model_;
  const FakeOptions& options_;
  Allocator& allocator_;
  bool first_ = true;
};

std::unique_ptr<Instance> FakeModel::create_instance(Allocator& allocator) {
  if (options_.instance_time > Duration::zero()) sleep_for(options_.instance_time, {});
  const std::size_t before = instances_.fetch_add(1, std::memory_order_relaxed);
  if (options_.instances_max != 0 && before >= options_.instances_max) {
    instance_ended();
    throw Error(Code::kResourceExhausted,
                fmt::format("the fake model has {} instances at most, as its options say",
                            options_.instances_max));
  }
  return std::make_unique<FakeInstance>(shared_from_this(), allocator);
}

void check_signature(const FakeOptions& options) {
  const Signature& signature = options.signature;
  if (signature.inputs.empty() || signature.outputs.empty()) {
    throw Error(Code::kInvalidArgument, "a fake model needs an input and an output");
  }
  for (std::size_t i = 0; i < signature.outputs.size(); ++i) {
    const TensorSpec& output = signature.outputs[i];
    const TensorSpec& input = signature.inputs[std::min(i, signature.inputs.size() - 1)];
    const bool echoes = output.dtype == input.dtype && output.shape == input.shape;
    if (options.output == FakeOutput::kEcho && !echoes) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("output '{}' must have the dtype and shape of input '{}', which it "
                              "echoes; change it, or "
                              "say `output: sum`",
                              output.name, input.name));
    }
    const bool sums =
        output.dtype != DType::kBytes && output.shape.rank() > 0 && output.shape[0] < 0;
    if (options.output == FakeOutput::kSum && !sums) {
      throw Error(
          Code::kInvalidArgument,
          fmt::format(
              "output '{}' must hold numbers and have a free first dimension to take sums of rows",
              output.name));
    }
  }
}

}  // namespace

std::shared_ptr<Model> make_fake_model(FakeOptions options, StopToken stop) {
  check_signature(options);
  if (options.sleep) {
    options.sleep(options.load_time, stop);
  } else {
    sleep_for(options.load_time, stop);
  }
  return std::make_shared<FakeModel>(std::move(options));
}

std::shared_ptr<Model> FakeEngine::load(const std::filesystem::path& file,
                                        const ModelOptions& options, StopToken stop) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream)
    throw Error(Code::kNotFound, fmt::format("{}: there is no such file", file.string()));
  std::string text(kFileBytesMax + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kFileBytesMax) {
    throw Error(Code::kInvalidArgument, fmt::format("{}: a fake model takes at most {} bytes",
                                                    file.string(), kFileBytesMax));
  }
  FakeOptions fake = parse_fake(text, file.string());
  if (options.memory_bytes_max != 0 && fake.memory_bytes > options.memory_bytes_max) {
    throw Error(Code::kResourceExhausted,
                fmt::format("{}: it takes {} bytes, above memory_bytes_max of {}", file.string(),
                            fake.memory_bytes, options.memory_bytes_max));
  }
  return make_fake_model(std::move(fake), stop);
}

void register_fake_engine() {
  static const Engine* const once = &register_engine(std::make_unique<FakeEngine>());
  static_cast<void>(once);
}

}  // namespace baozi::engine
