#include "baozi/pipeline/pipeline.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "baozi/base/error.h"
#include "baozi/coro/trace.h"

namespace baozi::pipeline {
namespace {

template <class T>
T read_number(const PipelineContext& context, const std::string& key, const std::string& text,
              const char* kind) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("option '{}' of pipeline '{}' is '{}', but {} is wanted", key,
                            context.name, text, kind));
  }
  return value;
}

bool read_bool(const PipelineContext& context, const std::string& key, const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  throw Error(Code::kInvalidArgument,
              fmt::format("option '{}' of pipeline '{}' is '{}', but true or false is wanted", key,
                          context.name, text));
}

}  // namespace

std::string PipelineContext::option(const std::string& key, std::string fallback) const {
  const auto at = options.find(key);
  return at == options.end() ? std::move(fallback) : at->second;
}
std::int64_t PipelineContext::option(const std::string& key, std::int64_t fallback) const {
  const auto at = options.find(key);
  return at == options.end() ? fallback
                             : read_number<std::int64_t>(*this, key, at->second, "a whole number");
}
double PipelineContext::option(const std::string& key, double fallback) const {
  const auto at = options.find(key);
  return at == options.end() ? fallback : read_number<double>(*this, key, at->second, "a number");
}
bool PipelineContext::option(const std::string& key, bool fallback) const {
  const auto at = options.find(key);
  return at == options.end() ? fallback : read_bool(*this, key, at->second);
}
int PipelineContext::option(const std::string& key, int fallback) const {
  const auto at = options.find(key);
  return at == options.end() ? fallback
                             : read_number<int>(*this, key, at->second, "a whole number");
}

void PipelineContext::check_options(std::initializer_list<std::string_view> known) const {
  for (const auto& [key, value] : options) {
    if (std::ranges::find(known, key) != known.end()) continue;
    throw Error(Code::kInvalidArgument, fmt::format("pipeline '{}' has no option '{}'; it has: {}",
                                                    name, key, fmt::join(known, ", ")));
  }
}

Task<Tensors> infer_on(std::shared_ptr<model::Servable> servable, Tensors inputs, int priority) {
  return infer_on(std::move(servable), std::move(inputs), priority, nullptr);
}

Task<Tensor> infer_on(std::shared_ptr<model::Servable> servable, Tensor input, int priority) {
  return infer_on(std::move(servable), std::move(input), priority, nullptr);
}

Task<Tensors> infer_on(std::shared_ptr<model::Servable> servable, Tensors inputs, int priority,
                       std::shared_ptr<Voices> voices) {
  model::InferRequest request;
  request.inputs = std::move(inputs);
  request.priority = priority;
  model::InferResponse response = co_await servable->infer(std::move(request));
  if (voices != nullptr) voices->hear(response);
  co_return std::move(response.outputs);
}

Task<Tensor> infer_on(std::shared_ptr<model::Servable> servable, Tensor input, int priority,
                      std::shared_ptr<Voices> voices) {
  const engine::Signature& signature = servable->signature();
  if (signature.inputs.size() != 1 || signature.outputs.size() != 1) {
    throw Error(
        Code::kFailedPrecondition,
        fmt::format("model '{}' takes {} inputs and gives {} outputs, so they must be named",
                    servable->name(), signature.inputs.size(), signature.outputs.size()));
  }
  Tensors inputs;
  inputs.push_back({signature.inputs.front().name, std::move(input)});
  Tensors outputs = co_await infer_on(servable, std::move(inputs), priority, std::move(voices));
  co_return std::move(outputs.front().tensor);
}

void Registry::add(std::string kind, Factory factory) {
  const std::lock_guard lock(mutex_);
  const auto [at, added] = factories_.try_emplace(std::move(kind), std::move(factory));
  if (!added)
    throw Error(Code::kAlreadyExists, fmt::format("there is a pipeline '{}' already", at->first));
}

std::shared_ptr<model::Servable> Registry::make(std::string_view kind,
                                                PipelineContext context) const {
  Factory factory;
  {
    const std::lock_guard lock(mutex_);
    const auto at = factories_.find(kind);
    if (at != factories_.end()) factory = at->second;
  }
  if (!factory) {
    throw Error(Code::kNotFound,
                fmt::format("no pipeline '{}'; there are: {}", kind, fmt::join(kinds(), ", ")));
  }
  return factory(std::move(context));
}

std::vector<std::string> Registry::kinds() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [kind, factory] : factories_) names.push_back(kind);
  return names;
}

Registry& registry() {
  static Registry instance;
  return instance;
}

Pipeline::Pipeline(PipelineContext context, PipelineSpec spec)
    : context_(std::move(context)), spec_(std::move(spec)) {}

bool Pipeline::ready() const noexcept {
  for (const std::string& needed : spec_.models) {
    try {
      if (!context_.model(needed)->ready()) return false;
    } catch (const std::exception&) {
      return false;
    }
  }
  return true;
}

model::Statistics Pipeline::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

void Pipeline::check_inputs(const Tensors& inputs) const {
  const std::vector<engine::TensorSpec>& specs = spec_.signature.inputs;
  for (const engine::TensorSpec& spec : specs)
    engine::check_fits(spec, get_tensor(inputs, spec.name));
  if (inputs.size() == specs.size()) return;
  for (const NamedTensor& input : inputs) {
    if (spec_.signature.input_index(input.name) < 0) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("pipeline '{}' has no input '{}'", context_.name, input.name));
    }
  }
  throw Error(Code::kInvalidArgument,
              fmt::format("an input of pipeline '{}' is given twice", context_.name));
}

void Pipeline::pick_outputs(std::vector<std::string> wanted, Tensors& outputs) const {
  if (wanted.empty()) {
    for (const engine::TensorSpec& spec : spec_.signature.outputs) wanted.push_back(spec.name);
  }
  Tensors picked;
  for (std::string& output : wanted) {
    const Tensor* tensor = find_tensor(outputs, output);
    if (tensor == nullptr) {
      throw Error(Code::kInternal,
                  fmt::format("pipeline '{}' left out its output '{}'", context_.name, output));
    }
    picked.push_back({std::move(output), *tensor});
  }
  outputs = std::move(picked);
}

void Pipeline::count(bool ok, Time start) noexcept {
  const Time now = Clock::now();
  const auto ns = static_cast<std::uint64_t>((now - start) / std::chrono::nanoseconds(1));
  const std::lock_guard lock(mutex_);
  model::Statistics::Duration& kind = ok ? statistics_.success : statistics_.fail;
  kind.count += 1;
  kind.ns += ns;
  if (!ok) return;
  statistics_.inference_count += 1;
  statistics_.execution_count += 1;
  statistics_.last_inference_ms = static_cast<std::uint64_t>(
      std::chrono::system_clock::now().time_since_epoch() / std::chrono::milliseconds(1));
}

Task<model::InferResponse> Pipeline::infer(model::InferRequest request) {
  const Context& context = co_await this_context();
  const Time start = Clock::now();
  struct Counted {
    Pipeline& pipeline;
    Time start;
    bool wanted;
    bool ok = false;
    ~Counted() {
      if (wanted) pipeline.count(ok, start);
    }
  } counted{*this, start, context.trace == nullptr || context.trace->id() != 0};

  check_inputs(request.inputs);
  for (const std::string& wanted : request.outputs) {
    if (spec_.signature.output_index(wanted) < 0) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("pipeline '{}' has no output '{}'", context_.name, wanted));
    }
  }
  std::string id = request.id;
  std::vector<std::string> wanted = request.outputs;
  model::InferResponse response;
  std::string foreign_error;
  try {
    Task<model::InferResponse> task = run(std::move(request));
    response = co_await std::move(task).on(*context_.cpu);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    foreign_error = error.what();
    if (foreign_error.empty()) foreign_error = "an exception without text";
  }
  if (!foreign_error.empty()) {
    throw Error(Code::kInternal,
                fmt::format("pipeline '{}' failed: {}", context_.name, foreign_error));
  }
  pick_outputs(std::move(wanted), response.outputs);
  response.model = context_.name;
  response.version = context_.version;
  response.id = std::move(id);
  counted.ok = true;
  co_return std::move(response);
}

Task<model::InferResponse> detail::respond(Task<Tensors> task) {
  model::InferResponse response;
  response.outputs = co_await std::move(task);
  co_return std::move(response);
}

}  // namespace baozi::pipeline
