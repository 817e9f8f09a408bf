#include "baozi/engine/onnx/onnx_chain.h"

#include <fmt/format.h>

#include <cassert>
#include <exception>
#include <set>
#include <utility>

#include "baozi/coro/trace.h"

namespace baozi::engine {
namespace {

// Frees what a run made and nobody took: its crossing values always, its outputs unless it ended
// well.
class Undo {
 public:
  Undo(std::span<OrtValue*> outputs, OnnxChain::Values& values)
      : outputs_(outputs), values_(values) {
    values_.given.assign(outputs.begin(), outputs.end());
  }
  ~Undo() {
    for (Ort::Value& value : values_.crossing) value = Ort::Value(nullptr);
    if (!keeps_) free_outputs();
  }
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;

  void keep_outputs() noexcept { keeps_ = true; }
  void free_outputs() noexcept {
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      if (outputs_[i] == values_.given[i]) continue;
      Ort::GetApi().ReleaseValue(outputs_[i]);
      outputs_[i] = values_.given[i];
    }
  }

 private:
  const std::span<OrtValue*> outputs_;
  OnnxChain::Values& values_;
  bool keeps_ = false;
};

std::set<std::string> names_of(const std::vector<TensorSpec>& specs) {
  std::set<std::string> names;
  for (const TensorSpec& spec : specs) names.insert(spec.name);
  return names;
}

}  // namespace

OnnxChain::OnnxChain(const Signature& signature, std::size_t parts, OpenPart open_part,
                     OpenWhole open_whole, const StopToken& stop)
    : signature_(signature), parts_(parts) {
  assert(parts >= 1);
  for (const TensorSpec& spec : signature.inputs) {
    input_names_.push_back(spec.name.c_str());
    numbers_.emplace(spec.name, numbers_.size());
  }
  for (const TensorSpec& spec : signature.outputs) {
    output_names_.push_back(spec.name.c_str());
    numbers_.emplace(spec.name, numbers_.size());
  }
  if (numbers_.size() != signature.inputs.size() + signature.outputs.size())
    throw Error(Code::kInvalidArgument, "two of its inputs and outputs have the same name");
  parts_[0] = make_part(0, open_part(0, stop));
  there_.store(1, std::memory_order_release);
  if (parts == 1) return;
  thread_ = std::thread([this, part = std::move(open_part), whole = std::move(open_whole)] {
    trace::set_thread_name("open parts");
    open_others(part, whole);
  });
}

OnnxChain::~OnnxChain() {
  stop_.request_stop();
  if (thread_.joinable()) thread_.join();
}

std::unique_ptr<OnnxChain::Part> OnnxChain::make_part(std::size_t index, Ort::Session session) {
  auto part = std::make_unique<Part>();
  part->session = std::move(session);
  Ort::AllocatorWithDefaultOptions allocator;
  const std::size_t inputs = part->session.GetInputCount();
  const std::size_t outputs = part->session.GetOutputCount();
  for (std::size_t i = 0; i < inputs; ++i)
    part->names.emplace_back(part->session.GetInputNameAllocated(i, allocator).get());
  for (std::size_t i = 0; i < outputs; ++i)
    part->names.emplace_back(part->session.GetOutputNameAllocated(i, allocator).get());
  for (std::size_t i = 0; i < part->names.size(); ++i) {
    const std::string& name = part->names[i];
    auto at = numbers_.find(name);
    if (i < inputs && at == numbers_.end()) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("part {} takes '{}', which no part before it makes", index, name));
    }
    if (at == numbers_.end()) {
      at = numbers_.emplace(name, numbers_.size()).first;
      ++crossing_;
    }
    (i < inputs ? part->inputs : part->outputs).push_back(at->second);
    (i < inputs ? part->input_names : part->output_names).push_back(name.c_str());
  }
  part->crossing = crossing_;
  if (index + 1 == parts_.size()) {
    std::set<std::string> missing = names_of(signature_.outputs);
    for (const std::string& name : part->names) missing.erase(name);
    for (std::size_t p = 0; p < index; ++p) {
      for (const std::string& name : parts_[p]->names) missing.erase(name);
    }
    if (!missing.empty()) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("no part makes its output '{}'", *missing.begin()));
    }
  }
  return part;
}

void OnnxChain::open_others(const OpenPart& open_part, const OpenWhole& open_whole) noexcept {
  const StopToken stop = stop_.token();
  for (std::size_t i = 1; i < parts_.size(); ++i) {
    std::string why;
    try {
      parts_[i] = make_part(i, open_part(i, stop));
    } catch (const Error& error) {
      why = error.message();
    } catch (const std::exception& error) {
      why = error.what();
    }
    if (stop.stop_requested()) return;
    if (parts_[i] == nullptr) return rescue(why, open_whole);
    {
      const std::lock_guard lock(mutex_);
      there_.store(i + 1, std::memory_order_release);
    }
    changed_.notify_all();
  }
}

void OnnxChain::rescue(const std::string& why, const OpenWhole& open_whole) {
  try {
    whole_ = open_whole(why, stop_.token());
    {
      const std::lock_guard lock(mutex_);
      has_whole_.store(true, std::memory_order_release);
    }
    changed_.notify_all();
  } catch (const Error& error) {
    fail(error);
  } catch (const std::exception& error) {
    fail(Error(Code::kInternal, error.what()));
  }
}

void OnnxChain::fail(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    error_.emplace(error.code(), error.message());
  }
  changed_.notify_all();
}

OnnxChain::Part* OnnxChain::wait_for(std::size_t index, const StopToken& stop) {
  if (has_whole_.load(std::memory_order_acquire)) return nullptr;
  if (there_.load(std::memory_order_acquire) > index) return parts_[index].get();
  const auto wake = [this]() noexcept {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  };
  const StopCallback on_stop(stop, wake);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return there_.load(std::memory_order_relaxed) > index ||
           has_whole_.load(std::memory_order_relaxed) || error_ || stop.stop_requested();
  });
  if (has_whole_.load(std::memory_order_relaxed)) return nullptr;
  if (there_.load(std::memory_order_relaxed) > index) return parts_[index].get();
  if (error_) throw Error(error_->code(), error_->message());
  throw stopped_error(stop.reason());
}

void OnnxChain::await_all(const StopToken& stop) {
  try {
    wait_for(parts_.size() - 1, stop);
  } catch (const Error&) {
    throw_if_stopped(stop);
  }
}

OrtStatus* OnnxChain::run(OrtRunOptions* options, std::span<const OrtValue* const> inputs,
                          std::span<OrtValue*> outputs, Values& values, const StopToken& stop) {
  Undo undo(outputs, values);
  OrtStatus* status = nullptr;
  for (std::size_t i = 0; i < parts_.size() && status == nullptr; ++i) {
    Part* const part = wait_for(i, stop);
    if (part == nullptr) {
      undo.free_outputs();
      status = run_whole(options, inputs, outputs);
      break;
    }
    status = run_part(*part, options, inputs, outputs, values);
  }
  if (status == nullptr) undo.keep_outputs();
  return status;
}

OrtStatus* OnnxChain::run_part(Part& part, OrtRunOptions* options,
                               std::span<const OrtValue* const> inputs,
                               std::span<OrtValue*> outputs, Values& values) {
  const std::size_t first_output = inputs.size();
  const std::size_t first_crossing = first_output + outputs.size();
  while (values.crossing.size() < part.crossing) values.crossing.emplace_back(nullptr);
  values.inputs.clear();
  for (const std::size_t number : part.inputs) {
    values.inputs.push_back(
        number < first_output ? inputs[number]
        : number < first_crossing
            ? outputs[number - first_output]
            : static_cast<const OrtValue*>(values.crossing[number - first_crossing]));
  }
  values.outputs.clear();
  for (const std::size_t number : part.outputs)
    values.outputs.push_back(number < first_crossing ? outputs[number - first_output] : nullptr);
  OrtStatus* const status = Ort::GetApi().Run(
      part.session, options, part.input_names.data(), values.inputs.data(), values.inputs.size(),
      part.output_names.data(), values.outputs.size(), values.outputs.data());
  if (status != nullptr) return status;
  for (std::size_t i = 0; i < part.outputs.size(); ++i) {
    const std::size_t number = part.outputs[i];
    if (number < first_crossing) {
      outputs[number - first_output] = values.outputs[i];
    } else {
      values.crossing[number - first_crossing] = Ort::Value(values.outputs[i]);
    }
  }
  return nullptr;
}

OrtStatus* OnnxChain::run_whole(OrtRunOptions* options, std::span<const OrtValue* const> inputs,
                                std::span<OrtValue*> outputs) {
  return Ort::GetApi().Run(whole_, options, input_names_.data(), inputs.data(), inputs.size(),
                           output_names_.data(), outputs.size(), outputs.data());
}

}  // namespace baozi::engine
