#include "baozi/api/kserve_parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "baozi/api/json_reader.h"
#include "baozi/api/json_tensor.h"

namespace baozi::api {
namespace {

// Triton's priorities run from 1, the most urgent, upwards; 0 is "not given". Ours: higher goes
// first, 0 is usual.
constexpr std::uint64_t kPriorityLevels = 1 << 16;
constexpr std::uint64_t kTimeoutMicrosMax = std::uint64_t{86'400'000'000} * 365;

[[noreturn]] void invalid(std::string message) {
  throw Error(Code::kInvalidArgument, std::move(message));
}

// What an entry of "inputs" says; its views point into the parser's memory.
struct InputEntry {
  std::string_view name;
  std::optional<DType> dtype;
  std::optional<Shape> shape;
  std::optional<std::uint64_t> binary_size;
  std::optional<Tensor> tensor;     // read as soon as name, type and shape are known
  std::string_view data_for_later;  // "data" that came before them
};

class InferParser {
 public:
  InferParser(const Bytes& body, std::size_t json_size, std::size_t spare, Allocator& allocator)
      : body_(body),
        json_size_(json_size),
        binary_at_(json_size),
        spare_(body.size() - json_size + spare),
        allocator_(allocator) {}

  KserveInfer parse() {
    JsonText json(body_.text().substr(0, json_size_), spare_);
    json_ = &json;
    bool inputs_seen = false;
    for (auto item : json.object()) {
      ondemand::field field = take(std::move(item));
      const std::string_view key = take_key(field);
      if (key == "inputs") {
        inputs_seen = true;
        read_inputs(field.value());
      } else if (key == "outputs") {
        read_outputs(field.value());
      } else if (key == "id") {
        result_.request.id = take_string(field.value(), "'id'");
      } else if (key == "parameters") {
        read_parameters(field.value());
      }
    }
    json.finish();
    if (!inputs_seen) invalid("the request has no 'inputs'");
    if (binary_at_ != body_.size()) {
      invalid(
          fmt::format("the body has {} bytes behind its JSON of {} bytes, the inputs' "
                      "'binary_data_size' add up to {}",
                      body_.size() - json_size_, json_size_, binary_at_ - json_size_));
    }
    return std::move(result_);
  }

  // As parse(), of a response.
  Tensors parse_outputs() {
    JsonText json(body_.text(), spare_);
    json_ = &json;
    for (auto item : json.object()) {
      ondemand::field field = take(std::move(item));
      if (take_key(field) == "outputs") read_inputs(field.value());
    }
    json.finish();
    if (result_.request.inputs.empty()) invalid("there are no 'outputs'");
    return std::move(result_.request.inputs);
  }

 private:
  void read_inputs(ondemand::value value) {
    for (auto item : take_array(value, "'inputs'")) {
      if (result_.request.inputs.size() == kInputsMax) {
        invalid(fmt::format("a request has at most {} inputs", kInputsMax));
      }
      read_input(take_object(take(std::move(item)), "an entry of 'inputs'"));
    }
  }

  void read_input(ondemand::object object) {
    InputEntry entry;
    for (auto item : object) {
      ondemand::field field = take(std::move(item));
      const std::string_view key = take_key(field);
      if (key == "name") {
        entry.name = take_string(field.value(), "an input's 'name'");
      } else if (key == "shape") {
        entry.shape = read_shape(field.value(), entry);
      } else if (key == "datatype") {
        entry.dtype = read_dtype(field.value(), entry);
      } else if (key == "parameters") {
        read_input_parameters(field.value(), entry);
      } else if (key == "data") {
        read_data(field.value(), entry);
      }
    }
    finish_input(entry);
  }

  static Shape read_shape(ondemand::value value, const InputEntry& entry) {
    Shape shape;
    for (auto item : take_array(value, "an input's 'shape'")) {
      ondemand::value dim = take(std::move(item));
      std::int64_t size = 0;
      if (dim.get_int64().get(size) || size < 0) {
        invalid(fmt::format("input '{}': 'shape' takes whole numbers from 0 up", entry.name));
      }
      shape.push_back(size);
    }
    (void)shape.elements();  // throws when there are too many
    return shape;
  }

  static DType read_dtype(ondemand::value value, const InputEntry& entry) {
    const std::string_view name = take_string(value, "an input's 'datatype'");
    const std::optional<DType> dtype = dtype_from_name(name);
    if (!dtype) {
      invalid(
          fmt::format("input '{}': datatype '{}' is not known; there are BOOL, UINT8 to UINT64, "
                      "INT8 to INT64, FP16, BF16, FP32, FP64 and BYTES",
                      entry.name, name));
    }
    return *dtype;
  }

  static void read_input_parameters(ondemand::value value, InputEntry& entry) {
    for (auto item : take_object(value, "an input's 'parameters'")) {
      ondemand::field field = take(std::move(item));
      const std::string_view key = take_key(field);
      if (key == "binary_data_size") {
        entry.binary_size = take_uint(field.value(), "'binary_data_size'");
      } else if (key.starts_with("shared_memory_")) {
        invalid(
            fmt::format("input '{}' is in shared memory, which this server does not map; send it "
                        "in the body",
                        entry.name));
      }
    }
  }

  void read_data(ondemand::value value, InputEntry& entry) {
    if (entry.tensor || !entry.data_for_later.empty()) {
      invalid(fmt::format("input '{}' has 'data' twice", entry.name));
    }
    ondemand::array list = take_array(value, "an input's 'data'");
    if (entry.dtype && entry.shape && !entry.name.empty()) {
      entry.tensor =
          read_tensor(list, *entry.dtype, *entry.shape, entry.name, json_size_, allocator_);
    } else {
      entry.data_for_later = take(list.raw_json());
    }
  }

  void finish_input(InputEntry& entry) {
    if (entry.name.empty()) invalid("an entry of 'inputs' has no 'name'");
    if (!entry.dtype) invalid(fmt::format("input '{}' has no 'datatype'", entry.name));
    if (!entry.shape) invalid(fmt::format("input '{}' has no 'shape'", entry.name));
    if (find_tensor(result_.request.inputs, entry.name) != nullptr) {
      invalid(fmt::format("input '{}' is given twice", entry.name));
    }
    if (!entry.data_for_later.empty()) {
      JsonText later(entry.data_for_later, json_->spare_behind(entry.data_for_later));
      entry.tensor = read_tensor(later.array(), *entry.dtype, *entry.shape, entry.name, json_size_,
                                 allocator_);
      later.finish();
    }
    if (entry.binary_size) {
      if (entry.tensor) {
        invalid(fmt::format("input '{}' has both 'data' and 'binary_data_size'", entry.name));
      }
      entry.tensor = binary_tensor(entry);
    }
    if (!entry.tensor) {
      invalid(fmt::format("input '{}' has no 'data', and no 'binary_data_size' in its parameters",
                          entry.name));
    }
    result_.request.inputs.push_back({std::string(entry.name), *std::move(entry.tensor)});
  }

  Tensor binary_tensor(const InputEntry& entry) {
    const std::size_t left = body_.size() - binary_at_;
    if (*entry.binary_size > left) {
      invalid(fmt::format("input '{}': 'binary_data_size' is {}, the body has {} bytes left",
                          entry.name, *entry.binary_size, left));
    }
    const auto size = static_cast<std::size_t>(*entry.binary_size);
    Bytes data = body_.slice(binary_at_, size);
    binary_at_ += size;
    check_binary(entry, data);
    const std::size_t alignment = std::max<std::size_t>(dtype_size(*entry.dtype), 1);
    if (reinterpret_cast<std::uintptr_t>(data.data()) % alignment != 0) {
      Bytes aligned = allocator_.allocate(size);
      if (size > 0) std::memcpy(aligned.mutable_data(), data.data(), size);
      data = aligned.slice(0, size);
    }
    return Tensor(*entry.dtype, *entry.shape, std::move(data));
  }

  static void check_binary(const InputEntry& entry, const Bytes& data) {
    const std::int64_t elements = entry.shape->elements();
    if (*entry.dtype == DType::kBytes) {
      try {
        check_bytes_elements(data.span(), elements);
      } catch (const Error& error) {
        invalid(fmt::format("input '{}': {}", entry.name, error.message()));
      }
      return;
    }
    const std::size_t wanted = static_cast<std::size_t>(elements) * dtype_size(*entry.dtype);
    if (data.size() != wanted) {
      invalid(fmt::format("input '{}': 'binary_data_size' is {}, {} of shape {} has {} bytes",
                          entry.name, data.size(), dtype_name(*entry.dtype),
                          to_string(*entry.shape), wanted));
    }
    check_bools(entry.name, *entry.dtype, data);
  }

  void read_outputs(ondemand::value value) {
    for (auto item : take_array(value, "'outputs'")) {
      if (result_.request.outputs.size() == kInputsMax) {
        invalid(fmt::format("a request asks for at most {} outputs", kInputsMax));
      }
      read_output(take_object(take(std::move(item)), "an entry of 'outputs'"));
    }
  }

  void read_output(ondemand::object object) {
    std::string_view name;
    OutputWish wish;
    for (auto item : object) {
      ondemand::field field = take(std::move(item));
      const std::string_view key = take_key(field);
      if (key == "name") {
        name = take_string(field.value(), "an output's 'name'");
      } else if (key == "parameters") {
        read_output_parameters(field.value(), wish);
      }
    }
    if (name.empty()) invalid("an entry of 'outputs' has no 'name'");
    std::vector<std::string>& names = result_.request.outputs;
    if (std::ranges::find(names, name) != names.end()) {
      invalid(fmt::format("output '{}' is asked for twice", name));
    }
    names.emplace_back(name);
    if (wish.binary || wish.classes > 0) {
      result_.wishes.outputs.resize(names.size());
      result_.wishes.outputs.back() = wish;
    }
  }

  static void read_output_parameters(ondemand::value value, OutputWish& wish) {
    for (auto item : take_object(value, "an output's 'parameters'")) {
      ondemand::field field = take(std::move(item));
      const std::string_view key = take_key(field);
      if (key == "binary_data") {
        wish.binary = take_bool(field.value(), "'binary_data'");
      } else if (key == "classification") {
        const std::uint64_t classes = take_uint(field.value(), "'classification'");
        wish.classes = static_cast<std::uint32_t>(std::min<std::uint64_t>(classes, 1u << 30));
      } else if (key.starts_with("shared_memory_")) {
        invalid(
            "an output is wanted in shared memory, which this server does not map; leave that "
            "parameter out to get the output in the body");
      }
    }
  }

  void read_parameters(ondemand::value value) {
    for (auto item : take_object(value, "'parameters'")) {
      ondemand::field field = take(std::move(item));
      const std::string_view key = take_key(field);
      if (key == "binary_data_output") {
        result_.wishes.binary_by_default = take_bool(field.value(), "'binary_data_output'");
      } else if (key == "timeline") {
        result_.timeline = take_bool(field.value(), "'timeline'");
      } else if (key == "priority") {
        const std::uint64_t level = take_uint(field.value(), "'priority'");
        result_.request.priority =
            level == 0 ? 0
                       : static_cast<int>(kPriorityLevels - std::min(level, kPriorityLevels - 1));
      } else if (key == "timeout") {
        const std::uint64_t micros = take_uint(field.value(), "'timeout'");
        result_.timeout = std::chrono::microseconds(std::min(micros, kTimeoutMicrosMax));
      } else {
        result_.request.parameters.insert_or_assign(std::string(key),
                                                    read_parameter(key, field.value()));
      }
    }
  }

  static model::Parameter read_parameter(std::string_view key, ondemand::value value) {
    switch (take(value.type())) {
      case ondemand::json_type::boolean:
        return take_bool(value, key);
      case ondemand::json_type::string:
        return std::string(take_string(value, key));
      case ondemand::json_type::number: {
        std::int64_t whole = 0;
        if (value.get_int64().get(whole) == simdjson::SUCCESS) return whole;
        return take(value.get_double());
      }
      default:
        break;
    }
    invalid(fmt::format("parameter '{}' must be a boolean, a number or a string", key));
  }

  const Bytes& body_;
  const std::size_t json_size_;
  std::size_t binary_at_;  // where the next binary input starts
  const std::size_t spare_;
  Allocator& allocator_;
  JsonText* json_ = nullptr;  // while parse() runs
  KserveInfer result_;
};

}  // namespace

KserveInfer parse_kserve_infer(const Bytes& body, std::optional<std::size_t> json_size,
                               std::size_t spare, Allocator& allocator) {
  const std::size_t size = json_size.value_or(body.size());
  if (size > body.size()) {
    invalid(fmt::format("Inference-Header-Content-Length is {}, the body has {} bytes", size,
                        body.size()));
  }
  return InferParser(body, size, spare, allocator).parse();
}

Tensors parse_kserve_outputs(const Bytes& body) {
  return InferParser(body, body.size(), 0, heap_allocator()).parse_outputs();
}

}  // namespace baozi::api
