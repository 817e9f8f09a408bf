#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <chrono>
#include <functional>
#include <map>
#include <string>

#include "baozi/base/error.h"
#include "baozi/engine/fake/fake_engine.h"

namespace baozi::engine {
namespace {

constexpr std::uint64_t kMicrosecondsMax = 3'600'000'000;  // an hour

class Parser {
 public:
  explicit Parser(std::string_view file) : file_(file) {}

  FakeOptions parse(const YAML::Node& root) const {
    FakeOptions options;
    if (root.IsNull()) return options;
    if (!root.IsMap()) refuse(root, "a fake model is a map of options");
    const std::map<std::string, std::function<void(const YAML::Node&)>> keys{
        {"inputs", [&](const YAML::Node& at) { options.signature.inputs = specs(at); }},
        {"outputs", [&](const YAML::Node& at) { options.signature.outputs = specs(at); }},
        {"output", [&](const YAML::Node& at) { options.output = output(at); }},
        {"latency_us", [&](const YAML::Node& at) { options.latency = microseconds(at); }},
        {"latency_per_row_us",
         [&](const YAML::Node& at) { options.latency_per_row = microseconds(at); }},
        {"jitter_us", [&](const YAML::Node& at) { options.jitter = microseconds(at); }},
        {"seed",
         [&](const YAML::Node& at) { options.seed = value<std::uint64_t>(at, "a whole number"); }},
        {"fail_every",
         [&](const YAML::Node& at) {
           options.fail_every = value<std::uint64_t>(at, "a whole number");
         }},
        {"fail_value",
         [&](const YAML::Node& at) { options.fail_value = value<double>(at, "a number"); }},
        {"load_ms", [&](const YAML::Node& at) { options.load_time = microseconds(at) * 1000; }},
        {"memory_bytes",
         [&](const YAML::Node& at) {
           options.memory_bytes = value<std::size_t>(at, "a whole number");
         }},
        {"instance_ms",
         [&](const YAML::Node& at) { options.instance_time = microseconds(at) * 1000; }},
        {"instance_bytes",
         [&](const YAML::Node& at) {
           options.instance_bytes = value<std::size_t>(at, "a whole number");
         }},
        {"first_run_us", [&](const YAML::Node& at) { options.first_run = microseconds(at); }},
        {"instances_max",
         [&](const YAML::Node& at) {
           options.instances_max = value<std::size_t>(at, "a whole number");
         }},
        {"interruptible",
         [&](const YAML::Node& at) { options.interruptible = value<bool>(at, "true or false"); }}};
    for (const auto& entry : root) {
      const auto key = value<std::string>(entry.first, "the name of an option");
      const auto known = keys.find(key);
      if (known == keys.end()) {
        std::string names;
        for (const auto& name : keys) names += (names.empty() ? "" : ", ") + name.first;
        refuse(entry.first, fmt::format("there is no option '{}'; the options are {}", key, names));
      }
      known->second(entry.second);
    }
    return options;
  }

  [[noreturn]] void refuse(const YAML::Mark& mark, const std::string& why) const {
    throw Error(Code::kInvalidArgument, fmt::format("{}:{}: {}", file_, mark.line + 1, why));
  }

 private:
  [[noreturn]] void refuse(const YAML::Node& at, const std::string& why) const {
    refuse(at.Mark(), why);
  }

  template <class T>
  T value(const YAML::Node& at, const char* wanted) const {
    // yaml-cpp reads "-1" as a huge unsigned number.
    const bool negative = at.IsScalar() && at.Scalar().starts_with('-') && std::is_unsigned_v<T>;
    if (!at.IsScalar() || negative) refuse(at, fmt::format("{} is expected here", wanted));
    try {
      return at.as<T>();
    } catch (const YAML::BadConversion&) {
      refuse(at, fmt::format("'{}' is not {}", at.Scalar(), wanted));
    }
  }

  Duration microseconds(const YAML::Node& at) const {
    const auto count = value<std::uint64_t>(at, "a whole number");
    if (count > kMicrosecondsMax)
      refuse(at, fmt::format("{} is more than {}", count, kMicrosecondsMax));
    return std::chrono::microseconds(count);
  }

  FakeOutput output(const YAML::Node& at) const {
    const auto name = value<std::string>(at, "echo or sum");
    if (name == "echo") return FakeOutput::kEcho;
    if (name == "sum") return FakeOutput::kSum;
    refuse(at, fmt::format("'{}' is neither echo nor sum", name));
  }

  std::vector<TensorSpec> specs(const YAML::Node& list) const {
    if (!list.IsSequence()) refuse(list, "a list of tensors is expected here");
    std::vector<TensorSpec> result;
    for (const YAML::Node& at : list) result.push_back(spec(at));
    return result;
  }

  TensorSpec spec(const YAML::Node& at) const {
    if (!at.IsMap() || at.size() != 3 || !at["name"] || !at["dtype"] || !at["shape"]) {
      refuse(at, "a tensor is {name: …, dtype: …, shape: […]}");
    }
    TensorSpec result;
    result.name = value<std::string>(at["name"], "a name");
    const auto dtype = value<std::string>(at["dtype"], "a datatype");
    const std::optional<DType> known = dtype_from_name(dtype);
    if (!known)
      refuse(
          at["dtype"],
          fmt::format("there is no datatype '{}'; KServe's names are used, such as FP32", dtype));
    result.dtype = *known;
    if (!at["shape"].IsSequence()) refuse(at["shape"], "a list of sizes is expected here");
    for (const YAML::Node& dim : at["shape"]) add_dim(dim, result);
    return result;
  }

  // A number is a size (-1: any), a word names a dimension of any size.
  void add_dim(const YAML::Node& at, TensorSpec& spec) const {
    const auto text = value<std::string>(at, "a size or a name");
    std::int64_t size = -1;
    const bool is_size = YAML::convert<std::int64_t>::decode(at, size);
    if (is_size && size < -1) refuse(at, fmt::format("{} is no size", text));
    if (spec.shape.rank() == Shape::kRankMax)
      refuse(at, fmt::format("at most {} dimensions", Shape::kRankMax));
    spec.shape.push_back(is_size ? size : -1);
    spec.dim_names.push_back(is_size ? "" : text);
  }

  std::string file_;
};

}  // namespace

FakeOptions parse_fake(std::string_view text, std::string_view file) {
  const Parser parser(file);
  try {
    return parser.parse(YAML::Load(std::string(text)));
  } catch (const YAML::Exception& error) {
    parser.refuse(error.mark, error.msg);
  }
}

}  // namespace baozi::engine
