#include "baozi/engine/onnx/onnx_prepared.h"

#include <fmt/format.h>
#include <spdlog/common.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/engine/cpu_features.h"
#include "baozi/engine/file_stamp.h"
#include "baozi/engine/onnx/graph_file.h"
#include "baozi/engine/onnx/graph_split.h"
#include "baozi/engine/onnx/onnx_layers.h"
#include "baozi/engine/onnx/onnx_model.h"
#include "baozi/engine/onnx/onnx_plan.h"
#include "baozi/engine/onnx/onnx_runtime.h"
#include "baozi/engine/onnx/onnx_session.h"
#include "baozi/engine/onnx_file/model_scan.h"
#include "baozi/engine/prepared_store.h"
#include "baozi/engine/read_ahead.h"

namespace baozi::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGraph = "model.onnx";
constexpr const char* kWeights = "weights.bin";
constexpr const char* kPlan = "plan";

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

// The number of threads changes nothing of what is made.
PreparedKey key_of(const std::string& digest, const ModelOptions& options) {
  std::string text;
  if (options.layers > 1) text = fmt::format("layers={} ", options.layers);
  text += fmt::format("optimization_level={}", options.optimization_level);
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

bool same(const TensorSpec& left, const TensorSpec& right) {
  return left.name == right.name && left.dtype == right.dtype && left.shape == right.shape &&
         left.dim_names == right.dim_names;
}

bool same(const Signature& left, const Signature& right) {
  const auto equal = [](const TensorSpec& a, const TensorSpec& b) { return same(a, b); };
  return std::ranges::equal(left.inputs, right.inputs, equal) &&
         std::ranges::equal(left.outputs, right.outputs, equal);
}

std::optional<OnnxPlan> read_plan(const fs::path& folder) {
  std::ifstream stream(folder / kPlan, std::ios::binary);
  return parse_plan(std::string(std::istreambuf_iterator<char>(stream), {}));
}

void write_plan(const fs::path& folder, const OnnxPlan& plan) {
  const std::string text = format_plan(plan);
  if (!parse_plan(text)) throw NotSplit("its signature and metadata are too large to be kept");
  std::ofstream stream(folder / kPlan, std::ios::binary);
  stream << text;
  stream.close();
  if (!stream) {
    throw Error(Code::kUnavailable, fmt::format("cannot write {}", (folder / kPlan).string()));
  }
}

OnnxParts parts_in(const fs::path& folder, OnnxPlan plan, const ModelOptions& options,
                   OnnxChain::OpenWhole open_whole) {
  const auto open_part = [folder, options](std::size_t part, const StopToken& stop) {
    Ort::SessionOptions session = prepared_options(options);
    return open_session(folder / part_name(part), session, stop);
  };
  return {std::move(plan), open_part, std::move(open_whole)};
}

// While it is being proved that the parts answer as the whole, the whole must not answer for them.
Ort::Session refuse_whole(const std::string& why, const StopToken&) {
  throw NotSplit(fmt::format("a part of it cannot be opened: {}", why));
}

// What a start reads, in the order in which it is used: the graphs, then the weights.
std::unique_ptr<ReadAhead> read_ahead(const fs::path& folder, const OnnxPlan& plan) {
  std::vector<ReadAhead::File> files;
  for (int part = 1; part < plan.parts; ++part) {
    const fs::path file = folder / part_name(static_cast<std::size_t>(part));
    std::error_code failed;
    const std::uint64_t size = fs::file_size(file, failed);
    if (!failed) files.push_back({file, {{0, size}}});
  }
  files.push_back({folder / kWeights, plan.reads});
  return std::make_unique<ReadAhead>(std::move(files));
}

// Writes the parts, and proves that they answer as the whole.
void split(const GraphFile& graph, const fs::path& folder, const OnnxPlan& plan,
           const ModelOptions& options, Model& whole, const StopToken& stop) {
  try {
    write_parts(graph, folder, static_cast<std::size_t>(plan.parts), options, stop);
    const std::shared_ptr<Model> parts =
        make_onnx_model(folder.string(), parts_in(folder, plan, options, refuse_whole), {}, stop);
    prove_same(whole, *parts, stop);
  } catch (const NotSplit&) {
    throw;
  } catch (const Error& error) {
    throw_if_stopped(stop);
    const bool of_machine =
        error.code() == Code::kResourceExhausted || error.code() == Code::kUnavailable;
    if (of_machine) throw;
    throw NotSplit(error.message());
  }
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
  const GraphFile written = read_graph(graph);
  OnnxPlan plan{.parts = options.layers, .reads = reads_of(written)};
  if (options.layers > 1) {
    plan.signature = signature;
    plan.metadata = metadata;
    split(written, folder, plan, options, *prepared, stop);
  }
  write_plan(folder, plan);
}

std::uint64_t size_of(const fs::path& folder) {
  std::uint64_t bytes = 0;
  std::error_code failed;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, failed)) {
    const std::uint64_t size = entry.file_size(failed);
    if (!failed) bytes += size;
  }
  return bytes;
}

// Options that ask for the whole.
ModelOptions unsplit(ModelOptions options) {
  options.layers = 1;
  return options;
}

void check_layers(const fs::path& file, const ModelOptions& options) {
  if (options.layers >= 1 && options.layers <= kLayersMax) return;
  throw Error(Code::kInvalidArgument, fmt::format("{}: layers is {}, but must be 1 to {}",
                                                  file.string(), options.layers, kLayersMax));
}

// The artefact at this key as a model.
std::shared_ptr<Model> open_prepared(const fs::path& file, const fs::path& folder,
                                     std::uint64_t bytes, const PreparedKey& key,
                                     const ModelOptions& options, const StopToken& stop) {
  std::optional<OnnxPlan> plan = read_plan(folder);
  if (options.layers > 1 && (!plan || plan->parts != options.layers))
    throw Error(Code::kInvalidArgument, "its plan is of another model");
  OnnxModelFacts facts{.weight_bytes = bytes, .prepared = true};
  if (plan) facts.reading = read_ahead(folder, *plan);
  if (options.layers > 1) {
    const auto open_whole = [file, options, key](const std::string& why, const StopToken& until) {
      const PreparedStore store = store_of(options);
      if (store.contains(key)) store.drop(key, why);
      Ort::SessionOptions session = session_options(options);
      return open_session(file, session, until);
    };
    return make_onnx_model(file.string(), parts_in(folder, *std::move(plan), options, open_whole),
                           std::move(facts), stop);
  }
  Ort::SessionOptions session = prepared_options(options);
  return make_onnx_model(file.string(), open_session(folder / kGraph, session, stop),
                         std::move(facts));
}

std::shared_ptr<Model> load_at(const PreparedStore& store, const fs::path& file,
                               const PreparedStore::Source& source, const ModelOptions& options,
                               const StopToken& stop) {
  const PreparedKey key = key_of(source.digest, options);
  const std::optional<fs::path> folder = store.find(key, stop);
  if (!folder) return nullptr;
  check_memory(file, source.bytes, options);
  try {
    return open_prepared(file, *folder, source.bytes, key, options, stop);
  } catch (const Error& error) {
    throw_if_stopped(stop);
    if (error.code() == Code::kResourceExhausted) throw;
    // Another process may have taken it away to make room.
    if (store.contains(key)) store.drop(key, error.message());
    return nullptr;
  }
}

// A model that is known not to be split in so many parts need not be optimised again to find out.
void check_split(const PreparedStore& store, const std::string& digest, const ModelOptions& options,
                 const StopToken& stop) {
  const std::optional<fs::path> whole = store.find(key_of(digest, unsplit(options)), stop);
  if (!whole) return;
  try {
    const GraphFile graph = read_graph(*whole / kGraph);
    const GraphSplit split(graph, static_cast<std::size_t>(options.layers));
  } catch (const NotSplit&) {
    throw;
  } catch (const Error&) {
    return;  // it was removed meanwhile
  }
}

}  // namespace

std::shared_ptr<Model> load_prepared(const fs::path& file, const ModelOptions& options,
                                     const StopToken& stop) {
  check_layers(file, options);
  if (!why_not(options).empty()) return nullptr;
  const PreparedStore store = store_of(options);
  const std::optional<PreparedStore::Source> source = known_source(store, file, stop);
  if (!source) return nullptr;
  std::shared_ptr<Model> model = load_at(store, file, *source, options, stop);
  // One that could not be split, or is not yet, may be there whole.
  if (!model && options.layers > 1) model = load_at(store, file, *source, unsplit(options), stop);
  return model;
}

Preparation prepare_model(const fs::path& file, const ModelOptions& options,
                          const StopToken& stop) {
  using State = Preparation::State;
  check_layers(file, options);
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
    try {
      if (options.layers > 1) check_split(store, source.digest, options, stop);
      if (store.make({key, file, source.bytes}, write, stop)) result.state = State::kMade;
    } catch (const NotSplit& error) {
      result = prepare_model(file, unsplit(options), stop);
      result.why =
          fmt::format("it is not split into {} layers: {}", options.layers, error.message());
      return result;
    }
    folder = options.prepared.folder / key.name();
  }
  if (result.state != State::kMade) result.state = State::kThere;
  result.folder = *folder;
  result.bytes = size_of(*folder);
  result.layers = options.layers;
  return result;
}

}  // namespace baozi::engine
