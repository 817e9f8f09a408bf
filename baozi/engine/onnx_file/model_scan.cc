#include "baozi/engine/onnx_file/model_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <system_error>

#include "baozi/base/error.h"
#include "baozi/engine/onnx_file/wire_reader.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;

constexpr int kDepthMax = 64;              // graphs within graphs
constexpr std::size_t kTextMax = 1 << 16;  // names and locations

// Field numbers of onnx.proto.
namespace model_field {
enum : std::uint32_t { kIrVersion = 1, kGraph = 7, kFunctions = 25 };
}
namespace graph_field {
enum : std::uint32_t { kNode = 1, kInitializer = 5, kSparseInitializer = 15 };
}
namespace function_field {
enum : std::uint32_t { kNode = 7 };
}
namespace node_field {
enum : std::uint32_t { kAttribute = 5 };
}
namespace attribute_field {
enum : std::uint32_t {
  kTensor = 5,
  kGraph = 6,
  kTensors = 10,
  kGraphs = 11,
  kSparse = 22,
  kSparses = 23
};
}
namespace sparse_field {
enum : std::uint32_t { kValues = 1, kIndices = 2 };
}
namespace tensor_field {
enum : std::uint32_t { kName = 8, kExternalData = 13 };
}
namespace entry_field {
enum : std::uint32_t { kKey = 1, kValue = 2 };
}

[[noreturn]] void refuse(std::string message) {
  throw Error(Code::kInvalidArgument, std::move(message));
}

struct ExternalData {
  std::string location;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

class Scanner {
 public:
  Scanner(const fs::path& file, WireFile& bytes) : folder_(file.parent_path()), bytes_(bytes) {
    std::error_code failed;
    real_folder_ = fs::canonical(folder_.empty() ? fs::path(".") : folder_, failed);
    if (failed) refuse(fmt::format("its folder cannot be read: {}", failed.message()));
  }

  void model() {
    bool graph_seen = false;
    bool version_seen = false;
    FieldReader fields(bytes_, 0, bytes_.size());
    for (Field field; fields.next(field);) {
      if (field.number == model_field::kIrVersion) version_seen = true;
      if (!field.delimited) continue;
      if (field.number == model_field::kGraph) {
        graph_seen = true;
        graph(field, 0);
      } else if (field.number == model_field::kFunctions) {
        nodes(field, function_field::kNode, 0);
      }
    }
    if (!graph_seen || !version_seen) refuse("it is no ONNX model: it has no graph or no version");
  }

  ModelScan result() && {
    ModelScan scan;
    scan.file_bytes = bytes_.size();
    for (auto& [path, size] : external_) {
      scan.external_bytes += size;
      scan.external_files.push_back(path);
    }
    return scan;
  }

 private:
  void graph(const Field& message, int depth) {
    if (depth > kDepthMax)
      refuse(fmt::format("its graphs are nested more than {} deep", kDepthMax));
    FieldReader fields(bytes_, message);
    for (Field field; fields.next(field);) {
      if (!field.delimited) continue;
      if (field.number == graph_field::kNode) node(field, depth);
      if (field.number == graph_field::kInitializer) tensor(field);
      if (field.number == graph_field::kSparseInitializer) sparse(field);
    }
  }

  void nodes(const Field& message, std::uint32_t number, int depth) {
    FieldReader fields(bytes_, message);
    for (Field field; fields.next(field);) {
      if (field.delimited && field.number == number) node(field, depth);
    }
  }

  void node(const Field& message, int depth) {
    FieldReader fields(bytes_, message);
    for (Field field; fields.next(field);) {
      if (field.delimited && field.number == node_field::kAttribute) attribute(field, depth);
    }
  }

  void attribute(const Field& message, int depth) {
    FieldReader fields(bytes_, message);
    for (Field field; fields.next(field);) {
      if (!field.delimited) continue;
      switch (field.number) {
        case attribute_field::kTensor:
        case attribute_field::kTensors:
          tensor(field);
          break;
        case attribute_field::kGraph:
        case attribute_field::kGraphs:
          graph(field, depth + 1);
          break;
        case attribute_field::kSparse:
        case attribute_field::kSparses:
          sparse(field);
          break;
        default:
          break;
      }
    }
  }

  void sparse(const Field& message) {
    FieldReader fields(bytes_, message);
    for (Field field; fields.next(field);) {
      const bool is_tensor =
          field.number == sparse_field::kValues || field.number == sparse_field::kIndices;
      if (field.delimited && is_tensor) tensor(field);
    }
  }

  void tensor(const Field& message) {
    std::string name;
    std::optional<ExternalData> external;
    FieldReader fields(bytes_, message);
    for (Field field; fields.next(field);) {
      if (!field.delimited) continue;
      if (field.number == tensor_field::kName) name = read_text(bytes_, field, kTextMax);
      if (field.number == tensor_field::kExternalData) {
        if (!external) external.emplace();
        entry(field, *external);
      }
    }
    if (external) check_external(name, *external);
  }

  void entry(const Field& message, ExternalData& external) {
    std::string key;
    std::string value;
    FieldReader fields(bytes_, message);
    for (Field field; fields.next(field);) {
      if (!field.delimited) continue;
      if (field.number == entry_field::kKey) key = read_text(bytes_, field, kTextMax);
      if (field.number == entry_field::kValue) value = read_text(bytes_, field, kTextMax);
    }
    if (key == "location") external.location = value;
    if (key == "offset") external.offset = number(key, value);
    if (key == "length") external.length = number(key, value);
  }

  static std::uint64_t number(const std::string& key, const std::string& text) {
    std::uint64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || end != text.data() + text.size()) {
      refuse(fmt::format("the {} of external data is '{}', not a number", key, text));
    }
    return value;
  }

  // Only files in the model's folder, or below it, may be read: a model must not be able to open
  // others.
  void check_external(const std::string& name, const ExternalData& external) {
    const fs::path relative = external.location;
    if (external.location.empty() || external.location.find('\0') != std::string::npos ||
        relative.is_absolute()) {
      refuse(fmt::format(
          "weight '{}' lies in '{}': external data must be named by a path relative to the model",
          name, external.location));
    }
    const fs::path path = (real_folder_ / relative).lexically_normal();
    std::error_code failed;
    const fs::path real = fs::weakly_canonical(path, failed);
    if (failed || !is_below(path) || !is_below(real)) {
      refuse(
          fmt::format("weight '{}' lies in '{}', outside the model's folder; external data must be "
                      "beside the model",
                      name, external.location));
    }
    const auto known = external_.find(real);
    const std::uint64_t size = known != external_.end() ? known->second : size_of(name, real);
    if (external.offset > size || external.length > size - external.offset) {
      refuse(fmt::format("weight '{}' takes bytes {} to {} of '{}', which has only {}", name,
                         external.offset, external.offset + external.length, external.location,
                         size));
    }
    external_.try_emplace(real, size);
  }

  bool is_below(const fs::path& path) const {
    return std::ranges::mismatch(real_folder_, path).in1 == real_folder_.end();
  }

  static std::uint64_t size_of(const std::string& name, const fs::path& path) {
    std::error_code failed;
    if (!fs::is_regular_file(path, failed)) {
      refuse(fmt::format("weight '{}' lies in '{}', which is missing; put it beside the model",
                         name, path.filename().string()));
    }
    const std::uint64_t size = fs::file_size(path, failed);
    if (failed)
      refuse(fmt::format("'{}' cannot be read: {}", path.filename().string(), failed.message()));
    return size;
  }

  const fs::path folder_;
  fs::path real_folder_;
  WireFile& bytes_;
  std::map<fs::path, std::uint64_t> external_;
};

}  // namespace

ModelScan scan_model(const fs::path& file) {
  std::error_code failed;
  const fs::file_status status = fs::status(file, failed);
  if (!fs::exists(status))
    throw Error(Code::kNotFound, fmt::format("{}: there is no such file", file.string()));
  try {
    if (!fs::is_regular_file(status)) refuse("it is no file");
    WireFile bytes(file);
    if (bytes.size() == 0) refuse("it is empty");
    Scanner scanner(file, bytes);
    scanner.model();
    return std::move(scanner).result();
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", file.string(), error.message()));
  }
}

}  // namespace baozi::engine
