#include "baozi/serve/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/llm/scheduler.h"
#include "baozi/serve/prepared_config.h"
#include "baozi/serve/start_record.h"
#include "baozi/serve/user_cache.h"
#include "baozi/serve/yaml_reader.h"

namespace baozi::serve {
namespace {

namespace fs = std::filesystem;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::int64_t kDayMs = 86'400'000;

HttpConfig read_http(YamlReader reader) {
  HttpConfig http;
  http.host = reader.text("host", http.host);
  http.port = static_cast<std::uint16_t>(reader.integer("port", http.port, 0, 65'535));
  http.body_bytes_max = static_cast<std::size_t>(reader.integer(
      "body_bytes_max", static_cast<std::int64_t>(http.body_bytes_max), 1, std::int64_t{1} << 40));
  http.connections_max =
      static_cast<int>(reader.integer("connections_max", http.connections_max, 1, 1'000'000));
  http.head_timeout =
      milliseconds(reader.integer("head_timeout_ms", http.head_timeout.count(), 1, kDayMs));
  http.idle_timeout =
      milliseconds(reader.integer("idle_timeout_ms", http.idle_timeout.count(), 1, kDayMs));
  http.stall_timeout =
      milliseconds(reader.integer("stall_timeout_ms", http.stall_timeout.count(), 1, kDayMs));
  http.drain_timeout =
      milliseconds(reader.integer("drain_timeout_ms", http.drain_timeout.count(), 0, kDayMs));
  reader.finish();
  return http;
}

BatchConfig read_batch(YamlReader reader) {
  BatchConfig batch;
  batch.policy = reader.choice("policy", batch.policy, {"adaptive", "delay", "size"});
  batch.max = static_cast<int>(reader.integer("max", batch.max, 1, 4096));
  batch.delay = microseconds(reader.integer("delay_us", batch.delay.count(), 0, 60'000'000));
  reader.finish();
  return batch;
}

HoldConfig read_hold(YamlReader reader) {
  HoldConfig hold;
  hold.requests_max =
      static_cast<int>(reader.integer("requests_max", hold.requests_max, 0, 10'000'000));
  hold.timeout = milliseconds(reader.integer("timeout_ms", hold.timeout.count(), 1, kDayMs));
  reader.finish();
  return hold;
}

VersionConfig read_versions(YamlReader reader) {
  VersionConfig versions;
  versions.latest = static_cast<int>(reader.integer("latest", 1, 1, 1'000'000));
  const bool all = reader.boolean("all", false);
  versions.specific = reader.text_list("specific");
  if (all) versions.which = VersionConfig::Which::kAll;
  if (reader.has("specific")) {
    versions.which = VersionConfig::Which::kSpecific;
    if (versions.specific.empty()) reader.fail("it names no version", "specific");
  }
  if (int{reader.has("latest")} + int{all} + int{reader.has("specific")} > 1)
    reader.fail("one of 'latest', 'all' and 'specific' says which versions are served, not two");
  versions.labels = reader.text_map("labels");
  const std::string change =
      reader.choice("change_over", "keep_serving", {"keep_serving", "spare_memory"});
  versions.spare_memory = change == "spare_memory";
  reader.finish();
  return versions;
}

std::vector<engine::Provider> read_providers(YamlReader& model, const fs::path& base) {
  std::vector<engine::Provider> providers;
  for (YamlReader& reader : model.children("providers")) {
    engine::Provider provider;
    provider.name = reader.required_text("name");
    provider.options = reader.text_map("options");
    if (const std::string library = reader.text("library", ""); !library.empty())
      provider.library = base / library;
    reader.finish();
    providers.push_back(std::move(provider));
  }
  return providers;
}

void read_adapters(YamlReader& reader, const fs::path& base, LanguageConfig& language) {
  for (YamlReader& each : reader.children("adapters")) {
    const std::string name = each.required_text("name");
    if (std::ranges::find(language.adapters, name) != language.adapters.end())
      each.fail(fmt::format("there are two adapters '{}'", name), "name");
    language.adapters.push_back(name);
    language.engine.adapters.push_back({base / each.required_text("path"),
                                        static_cast<float>(each.number("scale", 1, -100, 100))});
    each.finish();
  }
  if (language.adapters.size() > llm::kAdaptersMax)
    reader.fail(fmt::format("there may be {} adapters at most", llm::kAdaptersMax), "adapters");
}

LanguageConfig read_language(YamlReader reader, const fs::path& base) {
  LanguageConfig language;
  engine::LanguageOptions& options = language.engine;
  language.answers_max =
      static_cast<int>(reader.integer("answers_max", language.answers_max, 1, 128));
  options.context = static_cast<int>(reader.integer("context", 0, 0, 100'000'000));
  language.window = static_cast<int>(reader.integer("window", 0, 0, 100'000'000));
  options.batch = static_cast<int>(reader.integer("batch", options.batch, 1, 1 << 16));
  options.threads = static_cast<int>(reader.integer("threads", 0, 0, 1024));
  const std::string kv = reader.choice("kv", "f16", {"f16", "q8_0", "q4_0"});
  options.kv = kv == "q8_0"   ? engine::KvType::kQ8
               : kv == "q4_0" ? engine::KvType::kQ4
                              : engine::KvType::kF16;
  options.map = reader.boolean("mmap", true);
  options.lock = reader.boolean("mlock", false);
  language.stall =
      std::chrono::milliseconds(reader.integer("stall_ms", language.stall.count(), 1, 3'600'000));
  if (const std::string file = reader.text("chat_template", ""); !file.empty())
    language.chat_template = base / file;
  language.guess = static_cast<int>(reader.integer("guess", 0, 0, 64));
  read_adapters(reader, base, language);
  language.offload_bytes_max = static_cast<std::size_t>(
      reader.integer("offload_bytes_max", std::int64_t{256} << 20, 0, std::int64_t{1} << 50));
  const std::string prefixes = reader.text("prefixes", "default");
  if (prefixes == "off") {
    language.prefixes.clear();
  } else if (prefixes != "default") {
    language.prefixes = base / prefixes;
  }
  language.prefixes_bytes_max = static_cast<std::size_t>(
      reader.integer("prefixes_bytes_max", std::int64_t{1} << 30, 0, std::int64_t{1} << 50));
  reader.finish();
  return language;
}

ModelConfig read_model(YamlReader& reader, const fs::path& base) {
  ModelConfig model;
  model.path = base / reader.required_text("path");
  model.name = reader.text("name", model.path.stem().string());
  model.engine = reader.text("engine", "");
  model.instances = read_instances(reader);
  model.batch = read_batch(reader.child("batch"));
  model.queue_max = static_cast<int>(reader.integer("queue_max", 0, 0, 10'000'000));
  model.pad = reader.number_map("pad");
  if (const std::string labels = reader.text("labels", ""); !labels.empty())
    model.labels = base / labels;
  model.options.threads = static_cast<int>(reader.integer("threads", 1, 1, 1024));
  model.options.optimization_level =
      static_cast<int>(reader.integer("optimization_level", 99, 0, 99));
  model.options.session_config = reader.text_map("session_config");
  model.options.layers = static_cast<int>(reader.integer("layers", 1, 1, engine::kLayersMax));
  model.options.memory_bytes_max =
      static_cast<std::size_t>(reader.integer("memory_bytes_max", 0, 0, std::int64_t{1} << 50));
  model.options.providers = read_providers(reader, base);
  model.language = read_language(reader.child("language"), base);
  model.language.engine.memory_bytes_max = model.options.memory_bytes_max;
  model.versions = read_versions(reader.child("versions"));
  model.on_demand = reader.choice("load", "at_start", {"at_start", "on_demand"}) == "on_demand";
  model.pin = reader.boolean("pin", false);
  model.sleep_after = std::chrono::seconds(reader.integer("sleep_after_s", 0, 0, kDayMs));
  model.warmup = read_warmup(reader.child("warmup"), base);
  model.cache = read_model_cache(reader);
  reader.finish();
  return model;
}

PipelineConfig read_pipeline(YamlReader& reader, const fs::path& base) {
  PipelineConfig pipeline;
  pipeline.type = reader.required_text("type");
  pipeline.name = reader.text("name", pipeline.type);
  pipeline.options = reader.text_map("options");
  pipeline.warmup = read_warmup(reader.child("warmup"), base);
  pipeline.cache = read_model_cache(reader);
  reader.finish();
  return pipeline;
}

void refuse_same_names(const Config& config) {
  std::set<std::string> names;
  const auto add = [&](const std::string& name) {
    if (!names.insert(name).second) {
      throw Error(
          Code::kInvalidArgument,
          fmt::format(
              "{}: two models, pipelines or cascades are called '{}'; give one another 'name'",
              config.file.string(), name));
    }
  };
  for (const ModelConfig& model : config.models) add(model.name);
  for (const PipelineConfig& pipeline : config.pipelines) add(pipeline.name);
  for (const CascadeConfig& cascade : config.cascades) add(cascade.name);
}

bool is_version(const std::string& text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// The model file in a version folder: Triton's "model.*" first, else the only file an engine
// accepts.
fs::path model_file_in(const fs::path& folder) {
  std::vector<fs::path> candidates;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".onnx" || extension == ".gguf" || extension == ".fake")
      candidates.push_back(entry.path());
  }
  std::ranges::sort(candidates);
  for (const fs::path& candidate : candidates) {
    if (candidate.stem() == "model") return candidate;
  }
  return candidates.empty() ? fs::path() : candidates.front();
}

bool has_versions(const fs::path& folder) {
  return std::ranges::any_of(fs::directory_iterator(folder), [](const fs::directory_entry& entry) {
    return entry.is_directory() && is_version(entry.path().filename().string()) &&
           !model_file_in(entry.path()).empty();
  });
}

Config config_of_folder(const fs::path& folder) {
  Config config;
  config.file = folder / "baozi.yaml";  // for relative paths only
  config.start_record = default_start_record(folder);
  config.models_folder = folder;
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  for (const std::string& name : names) {
    if (std::optional<ModelConfig> model = find_model(folder, name))
      config.models.push_back(std::move(*model));
  }
  if (config.models.empty()) {
    throw Error(Code::kNotFound, fmt::format("no model in {}: expected MODEL/VERSION/model.onnx, "
                                             "for example {}/my_model/1/model.onnx",
                                             folder.string(), folder.string()));
  }
  return config;
}

}  // namespace

fs::path default_prefixes() { return user_cache("prefixes"); }

Config parse_config(const std::string& text, const fs::path& file) {
  Config config;
  config.file = fs::absolute(file);
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::ParserException& error) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{}:{}:{}: not valid YAML: {}", file.string(), error.mark.line + 1,
                            error.mark.column + 1, error.msg));
  }
  const fs::path base = config.base();
  YamlReader reader(root, file, "");
  config.http = read_http(reader.child("http"));
  config.hold = read_hold(reader.child("hold"));
  config.fleet = read_fleet(reader.child("fleet"));
  config.memory_bytes_max =
      static_cast<std::size_t>(reader.integer("memory_bytes_max", 0, 0, std::int64_t{1} << 50));
  config.loads_max = static_cast<int>(reader.integer("loads_max", 0, 0, 64));
  config.reload = milliseconds(reader.integer("reload_ms", 0, 0, kDayMs));
  if (const std::string record = reader.text("start_record", "default"); record == "default") {
    config.start_record = default_start_record(config.file);
  } else if (record != "off") {
    config.start_record = base / record;
  }
  config.cpu_threads = static_cast<int>(reader.integer("cpu_threads", 0, 0, 64));
  config.log_level = reader.choice("log_level", config.log_level,
                                   {"trace", "debug", "info", "warning", "error", "off"});
  config.requests_max =
      static_cast<int>(reader.integer("requests_max", config.requests_max, 1, 10'000'000));
  config.prepared = read_prepared(reader.child("prepared"), base);
  config.cache = read_cache(reader.child("cache"));
  for (const std::string& plugin : reader.text_list("plugins"))
    config.plugins.push_back(base / plugin);
  for (YamlReader& model : reader.children("models"))
    config.models.push_back(read_model(model, base));
  for (YamlReader& pipeline : reader.children("pipelines"))
    config.pipelines.push_back(read_pipeline(pipeline, base));
  for (YamlReader& cascade : reader.children("cascades"))
    config.cascades.push_back(read_cascade(cascade));
  reader.finish();
  if (config.models.empty() && config.pipelines.empty()) {
    reader.fail("nothing to serve: 'models' and 'pipelines' are both empty");
  }
  refuse_same_names(config);
  check_cascades(config);
  return config;
}

Config load_config(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream)
    throw Error(Code::kNotFound, fmt::format("cannot read the config file {}", file.string()));
  const std::string text((std::istreambuf_iterator<char>(stream)), {});
  return parse_config(text, file);
}

Config config_for(const fs::path& path, const std::string& name) {
  if (!fs::exists(path))
    throw Error(Code::kNotFound, fmt::format("{} does not exist", path.string()));
  const std::string extension = path.extension().string();
  if (extension == ".yaml" || extension == ".yml") {
    if (!name.empty()) {
      throw Error(Code::kInvalidArgument,
                  "--name is for a single model; a config file names its models itself");
    }
    return load_config(path);
  }
  const fs::path absolute = fs::absolute(path).lexically_normal();
  if (fs::is_directory(absolute) && !has_versions(absolute)) {
    if (!name.empty())
      throw Error(Code::kInvalidArgument,
                  "--name is for a single model, not for a folder of several");
    return config_of_folder(absolute);
  }
  Config config;
  config.file = absolute.parent_path() / "baozi.yaml";
  config.start_record = default_start_record(absolute);
  ModelConfig model;
  model.path = absolute;
  const fs::path folder = fs::is_directory(absolute) ? absolute : absolute.parent_path();
  const fs::path last = absolute.filename().empty() ? absolute.parent_path() : absolute;
  model.name = !name.empty()                ? name
               : fs::is_directory(absolute) ? last.filename().string()
                                            : absolute.stem().string();
  if (fs::exists(folder / "labels.txt")) model.labels = folder / "labels.txt";
  config.models.push_back(std::move(model));
  return config;
}

std::optional<ModelConfig> find_model(const fs::path& folder, const std::string& name) {
  // A name from a client must not lead out of the folder.
  if (name.empty() || name == "." || name == ".." || fs::path(name).filename() != name)
    return std::nullopt;
  ModelConfig model;
  model.name = name;
  model.path = folder / name;
  if (!fs::is_directory(model.path) || !has_versions(model.path)) return std::nullopt;
  if (fs::exists(model.path / "labels.txt")) model.labels = model.path / "labels.txt";
  return model;
}

std::vector<ModelVersion> find_versions(const fs::path& path) {
  if (!fs::exists(path))
    throw Error(Code::kNotFound, fmt::format("{} does not exist", path.string()));
  if (!fs::is_directory(path)) return {{"1", path}};
  std::vector<ModelVersion> versions;
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_directory() || !is_version(name)) continue;
    if (fs::path file = model_file_in(entry.path()); !file.empty())
      versions.push_back({name, std::move(file)});
  }
  if (versions.empty()) {
    throw Error(Code::kNotFound, fmt::format("no version in {}: expected {}/1/model.onnx",
                                             path.string(), path.string()));
  }
  std::ranges::sort(versions, {},
                    [](const ModelVersion& v) { return std::pair(v.version.size(), v.version); });
  return versions;
}

std::vector<ModelVersion> choose_versions(const VersionConfig& config,
                                          std::vector<ModelVersion> found) {
  if (config.which == VersionConfig::Which::kAll) return found;
  if (config.which == VersionConfig::Which::kLatest) {
    const auto count = std::min(found.size(), static_cast<std::size_t>(config.latest));
    found.erase(found.begin(), found.end() - static_cast<std::ptrdiff_t>(count));
    return found;
  }
  for (const std::string& wanted : config.specific) {
    if (std::ranges::find(found, wanted, &ModelVersion::version) != found.end()) continue;
    std::string there;
    for (const ModelVersion& each : found) there += (there.empty() ? "" : ", ") + each.version;
    throw Error(
        Code::kNotFound,
        fmt::format("there is no version {} ('versions.specific'); there are: {}", wanted, there));
  }
  std::erase_if(found, [&](const ModelVersion& each) {
    return std::ranges::find(config.specific, each.version) == config.specific.end();
  });
  return found;
}

}  // namespace baozi::serve
