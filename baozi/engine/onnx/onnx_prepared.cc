#include "baozi/engine/onnx/onnx_prepared.h"

#include <fmt/format.h>
#include <spdlog/common.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/engine/cpu_features.h"
#include "baozi/engine/file_stamp.h"
#include "baozi/engine/onnx/model_scan.h"
#include "baozi/engine/onnx/onnx_model.h"
#include "baozi/engine/onnx/onnx_runtime.h"
#include "baozi/engine/onnx/onnx_session.h"
#include "baozi/engine/prepared_store.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGraph = "model.onnx";
constexpr const char* kWeights = "weights.bin";

// Why models with these options are not prepared; empty when they are.
std::string why_not(const ModelOptions& options) {
  if (options.prepared.folder.empty()) return "there is no folder for prepared artefacts";
  for (const Provider& provider : options.providers) {
    if (provider.name != "cpu" || !provider.library.empty())
      return fmt::format("its provider is '{}', and only what the CPU runs can be kept",
                         provider.name);
  }
  constexpr std::array<std::string_view, 5> kOwn{"session.optimized_model_", "session.save_",
                                                 "session.load_model_", "session.use_ort_model_",
                                                 "ep.context_"};
  for (const auto& [key, value] : options.session_config) {
    const bool own = std::ranges::any_of(
        kOwn, [&name = key](std::string_view prefix) { return name.starts_with(prefix); });
    if (own) return fmt::format("its session_config sets '{}'", key);
  }
  return {};
}

PreparedStore store_of(const ModelOptions& options) {
  return PreparedStore(options.prepared,
                       [](std::string_view text) { onnx_log(spdlog::level::warn, text); });
}

// On one line, and without doubt about where a value ends.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '%' || static_cast<unsigned char>(c) <= ' ') {
      result += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    } else {
      result += c;
    }
  }
  return result;
}

// The number of threads changes nothing of what is made.
PreparedKey key_of(const std::string& digest, const ModelOptions& options) {
  std::string text = fmt::format("optimization_level={}", options.optimization_level);
  for (const auto& [key, value] : options.session_config)
    text += fmt::format(" {}={}", escaped(key), escaped(value));
  return {digest, fmt::format("onnx {}", OrtGetApiBase()->GetVersionString()), cpu_features(),
          std::move(text)};
}

PreparedStore::Source source_of(const PreparedStore& store, const fs::path& file,
                                const ModelScan& scan, const StopToken& stop) {
  return store.source(file, [&scan] { return scan.external_files; }, stop);
}

// The file's content, when somebody may have prepared it: else nothing is read.
std::optional<PreparedStore::Source> known_source(const PreparedStore& store, const fs::path& file,
                                                  const StopToken& stop) {
  if (std::optional<PreparedStore::Source> source = store.remembered(file)) return source;
  try {
    const ModelScan scan = scan_model(file);
    if (!store.has_of_size(scan.file_bytes + scan.external_bytes)) return std::nullopt;
    return source_of(store, file, scan, stop);
  } catch (const Error&) {
    throw_if_stopped(stop);
    return std::nullopt;
  }
}

// Of all the model's files.
std::string stamps_of(const fs::path& file, const ModelScan& scan) {
  std::string stamps = file_stamp(file).value_or("");
  for (const fs::path& other : scan.external_files) stamps += ' ' + file_stamp(other).value_or("");
  return stamps;
}

// The graph is optimised already; to do so again would take time, and could change it.
Ort::SessionOptions prepared_options(const ModelOptions& options) {
  Ort::SessionOptions session = session_options(options);
  session.SetGraphOptimizationLevel(ORT_DISABLE_ALL);
  return session;
}

bool same(const TensorSpec& left, const TensorSpec& right) {
  return left.name == right.name && left.dtype == right.dtype && left.shape == right.shape &&
         left.dim_names == right.dim_names;
}

bool same(const Signature& left, const Signature& right) {
  const auto equal = [](const TensorSpec& a, const TensorSpec& b) { return same(a, b); };
  return std::ranges::equal(left.inputs, right.inputs, equal) &&
         std::ranges::equal(left.outputs, right.outputs, equal);
}

// Lets ONNX Runtime load the model and write what became of it, then opens that.
void write_prepared(const fs::path& file, const ModelOptions& options, const fs::path& folder,
                    const StopToken& stop) {
  Ort::SessionOptions session = session_options(options);
  session.SetOptimizedModelFilePath((folder / kGraph).c_str());
  session.AddConfigEntry("session.optimized_model_external_initializers_file_name", kWeights);
  session.AddConfigEntry("session.save_external_prepacked_constant_initializers", "1");
  // It warns that the result suits this processor only; the key holds that.
  session.SetLogSeverityLevel(ORT_LOGGING_LEVEL_ERROR);
  std::shared_ptr<Model> whole =
      make_onnx_model(file.string(), open_session(file, session, stop), {});
  const Signature signature = whole->signature();
  const std::map<std::string, std::string> metadata = whole->metadata();
  whole.reset();  // not both at once: a model may take half of the memory there is
  const fs::path graph = folder / kGraph;
  scan_model(graph);
  Ort::SessionOptions reopened = prepared_options(options);
  const std::shared_ptr<Model> prepared =
      make_onnx_model(graph.string(), open_session(graph, reopened, stop), {});
  if (!same(prepared->signature(), signature) || prepared->metadata() != metadata) {
    throw Error(Code::kFailedPrecondition,
                fmt::format("{}: what ONNX Runtime wrote of it has another signature or other "
                            "metadata, so it is not used",
                            file.string()));
  }
}

std::uint64_t size_of(const fs::path& folder) {
  std::uint64_t bytes = 0;
  for (const char* name : {kGraph, kWeights}) {
    std::error_code failed;
    const std::uint64_t size = fs::file_size(folder / name, failed);
    if (!failed) bytes += size;  // a model without weights has no file of them
  }
  return bytes;
}

}  // namespace

std::shared_ptr<Model> load_prepared(const fs::path& file, const ModelOptions& options,
                                     const StopToken& stop) {
  if (!why_not(options).empty()) return nullptr;
  const PreparedStore store = store_of(options);
  const std::optional<PreparedStore::Source> source = known_source(store, file, stop);
  if (!source) return nullptr;
  const PreparedKey key = key_of(source->digest, options);
  const std::optional<fs::path> folder = store.find(key, stop);
  if (!folder) return nullptr;
  check_memory(file, source->bytes, options);
  Ort::SessionOptions session = prepared_options(options);
  try {
    return make_onnx_model(file.string(), open_session(*folder / kGraph, session, stop),
                           {.weight_bytes = source->bytes, .prepared = true});
  } catch (const Error& error) {
    throw_if_stopped(stop);
    if (error.code() == Code::kResourceExhausted) throw;
    // Another process may have taken it away to make room.
    if (store.contains(key)) store.drop(key, error.message());
    return nullptr;
  }
}

Preparation prepare_model(const fs::path& file, const ModelOptions& options,
                          const StopToken& stop) {
  using State = Preparation::State;
  Preparation result;
  result.why = why_not(options);
  if (!result.why.empty()) return result;
  const ModelScan scan = scan_model(file);
  check_memory(file, scan.file_bytes + scan.external_bytes, options);
  const PreparedStore store = store_of(options);
  const std::string stamps = stamps_of(file, scan);
  const PreparedStore::Source source = source_of(store, file, scan, stop);
  const PreparedKey key = key_of(source.digest, options);
  std::optional<fs::path> folder = store.find(key, stop);
  if (!folder) {
    const auto write = [&](const fs::path& to) {
      write_prepared(file, options, to, stop);
      // Or another model would lie under this one's key.
      if (stamps_of(file, scan) == stamps) return;
      throw Error(Code::kAborted,
                  fmt::format("{}: it was changed while it was being prepared", file.string()));
    };
    if (store.make({key, file, source.bytes}, write, stop)) result.state = State::kMade;
    folder = options.prepared.folder / key.name();
  }
  if (result.state != State::kMade) result.state = State::kThere;
  result.folder = *folder;
  result.bytes = size_of(*folder);
  return result;
}

}  // namespace baozi::engine
