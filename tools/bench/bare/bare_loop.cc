#include "tools/bench/bare/bare_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <exception>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "baozi/base/clock.h"
#include "baozi/base/error.h"
#include "baozi/engine/buffer_pool.h"
#include "baozi/engine/engine.h"

namespace baozi::bare {
namespace {

constexpr std::int64_t kTokensMax = 20'000;  // within the vocabularies of the models measured here

// A mask lets everything through, types are all the first, identifiers and pixels are random.
Tensor input_for(const engine::TensorSpec& spec, std::int64_t batch, std::int64_t sequence) {
  Shape shape;
  for (std::size_t i = 0; i < spec.shape.rank(); ++i) {
    const std::int64_t free = i == 0 ? batch : sequence;
    shape.push_back(spec.shape[i] < 0 ? free : spec.shape[i]);
  }
  Tensor tensor = Tensor::allocate(spec.dtype, shape);
  std::minstd_rand random(1);
  if (spec.dtype == DType::kInt64) {
    const bool mask = spec.name.find("mask") != std::string::npos;
    const bool type = spec.name.find("type") != std::string::npos;
    for (std::int64_t& value : tensor.mutable_values<std::int64_t>()) {
      value = mask ? 1 : type ? 0 : 1'000 + static_cast<std::int64_t>(random() % kTokensMax);
    }
  } else if (spec.dtype == DType::kFp32) {
    std::uniform_real_distribution<float> values(-1, 1);
    for (float& value : tensor.mutable_values<float>()) value = values(random);
  } else {
    throw Error(Code::kUnimplemented,
                fmt::format("input {} is {}; the bare loop makes INT64 and FP32", spec.name,
                            dtype_name(spec.dtype)));
  }
  return tensor;
}

// One caller: its own instance, inputs and outputs.
class Caller {
 public:
  Caller(engine::Model& model, Allocator& pool, std::int64_t batch, std::int64_t sequence)
      : instance_(model.create_instance(pool)), outputs_(model.signature().outputs.size()) {
    for (const engine::TensorSpec& spec : model.signature().inputs) {
      inputs_.push_back(input_for(spec, batch, sequence));
    }
    run();  // allocates the outputs, which are written in place from then on
  }

  void run() { instance_->run(inputs_, outputs_, {}); }

  void run_until(const std::atomic<bool>& over) noexcept {
    try {
      for (; !over.load(std::memory_order_relaxed); ++runs_) run();
    } catch (...) {
      error_ = std::current_exception();
    }
  }

  std::int64_t runs() const {
    if (error_) std::rethrow_exception(error_);
    return runs_;
  }

 private:
  std::unique_ptr<engine::Instance> instance_;
  std::vector<Tensor> inputs_;
  std::vector<Tensor> outputs_;
  std::int64_t runs_ = 0;
  std::exception_ptr error_;
};

}  // namespace

Split parse_split(std::string_view text) {
  Split split;
  std::string_view rest = text;
  const auto number = [&](int& value) {
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    return error == std::errc() && value >= 1 && value <= 1'024;
  };
  bool good = number(split.callers) && rest.starts_with(':');
  if (good) rest.remove_prefix(1);
  good = good && number(split.threads);
  split.spinning = rest == ":spin";
  if (!good || (!rest.empty() && !split.spinning)) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("'{}' is no split; write CALLERS:THREADS or CALLERS:THREADS:spin", text));
  }
  return split;
}

std::string to_json(const Trial& trial) {
  return fmt::format(
      R"({{"callers":{},"threads":{},"spinning":{},"batch":{},"rows_per_second":{:.2f}}})",
      trial.split.callers, trial.split.threads, trial.split.spinning, trial.batch,
      trial.rows_per_second);
}

Trial BareLoop::measure(const Split& split, std::int64_t batch,
                        std::chrono::duration<double> span) const {
  engine::ModelOptions options;
  options.threads = split.threads;
  options.prepared.folder = prepared_;
  if (split.spinning) options.session_config["session.intra_op.allow_spinning"] = "1";
  const std::shared_ptr<engine::Model> model = engine::engine_for(model_).load(model_, options, {});
  engine::BufferPool pool({});
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < split.callers; ++i) {
    callers.push_back(std::make_unique<Caller>(*model, pool, batch, sequence_));
  }

  std::atomic<bool> over{false};
  const Time begin = Clock::now();
  std::vector<std::thread> threads;
  for (const auto& caller : callers) {
    threads.emplace_back([&over, &caller] { caller->run_until(over); });
  }
  std::this_thread::sleep_for(span);
  over = true;
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> elapsed = Clock::now() - begin;

  std::int64_t runs = 0;
  for (const auto& caller : callers) runs += caller->runs();
  return {split, batch, static_cast<double>(runs * batch) / elapsed.count()};
}

}  // namespace baozi::bare
