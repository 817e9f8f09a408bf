// Config: what to serve and how, from a YAML file, a folder of models or a single model file.
// Constant once loaded.
//
//   // throws Error kInvalidArgument "baozi.yaml:12:5: unknown key …"
//   Config config = load_config("baozi.yaml");
//
// The file's format is published as docs/config.schema.json.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "baozi/engine/engine.h"
#include "baozi/engine/language.h"
#include "baozi/serve/cache_config.h"
#include "baozi/serve/cascade_config.h"
#include "baozi/serve/fleet_config.h"
#include "baozi/serve/instances_config.h"
#include "baozi/serve/prepared_config.h"
#include "baozi/serve/warmup_config.h"

namespace baozi::serve {

struct HttpConfig {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8000;  // 0: any free one, printed at start
  std::size_t body_bytes_max = 256u << 20;
  int connections_max = 16'384;
  std::chrono::milliseconds head_timeout{10'000};
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds stall_timeout{30'000};  // without a byte of a body, or of an answer
  std::chrono::milliseconds drain_timeout{
      30'000};  // after SIGTERM; then what still runs is cancelled
};

struct BatchConfig {
  std::string policy = "adaptive";         // "adaptive", "delay" or "size"
  int max = 32;                            // rows
  std::chrono::microseconds delay{1'000};  // for policy "delay"
};

// baozi/prefixes in the user's cache folder ($XDG_CACHE_HOME, else ~/.cache); empty without either.
std::filesystem::path default_prefixes();

// Of a language model.
struct LanguageConfig {
  engine::LanguageOptions engine;
  int answers_max = 8;                  // at once; others wait
  int window = 0;                       // tokens of a prompt and its answer; 0: all of the context
  std::chrono::milliseconds stall{50};  // what prompts of others may add between two tokens
  std::filesystem::path chat_template;  // Jinja, instead of the model's; empty: the model's
  int guess = 0;  // tokens of an answer computed ahead where it repeats something; 0: none
  std::vector<std::string> adapters;                       // names of engine.adapters
  std::size_t offload_bytes_max = std::size_t{256} << 20;  // of the past, outside of KV memory
  // Where beginnings that requests share outlive the process; empty: nowhere.
  std::filesystem::path prefixes = default_prefixes();
  std::size_t prefixes_bytes_max = std::size_t{1} << 30;
};

// Which of a model's versions are served, and how one takes another's place.
struct VersionConfig {
  enum class Which : std::uint8_t { kLatest, kAll, kSpecific };
  Which which = Which::kLatest;
  int latest = 1;                             // how many, for kLatest
  std::vector<std::string> specific;          // for kSpecific
  std::map<std::string, std::string> labels;  // "stable" → "3"
  bool spare_memory = false;  // the old version goes before the new one is loaded, not after
};

// Requests for a model that is still being brought up.
struct HoldConfig {
  int requests_max = 1000;  // that wait; 0: none, they are told when to come again
  std::chrono::milliseconds timeout{30'000};
};

struct ModelConfig {
  std::string name;
  std::filesystem::path path;  // a model file, or a folder of version folders
  std::string engine;          // "": by the file's name
  InstancesConfig instances;
  BatchConfig batch;
  int queue_max = 0;                  // waiting requests; 0: the batcher's default
  std::map<std::string, double> pad;  // inputs that may be padded to a common length, and with what
  std::filesystem::path labels;       // a class name a line
  engine::ModelOptions options;
  LanguageConfig language;
  VersionConfig versions;
  bool on_demand = false;               // loaded when it is asked for, not at the start
  bool pin = false;                     // never unloaded to make room, nor put to sleep
  std::chrono::seconds sleep_after{0};  // unused for so long, it is unloaded until it is asked for
                                        // again; 0: never
  WarmupConfig warmup;
  ModelCacheConfig cache;
};

struct PipelineConfig {
  std::string name;
  std::string type;  // a registered pipeline: "classify", "embed", "ocr", a plug-in's
  std::map<std::string, std::string>
      options;  // paths relative to the file are made absolute by the pipeline itself
  WarmupConfig warmup;
  ModelCacheConfig cache;
};

struct Config {
  std::filesystem::path file;  // where it came from; relative paths start at its folder
  HttpConfig http;
  HoldConfig hold;
  FleetConfig fleet;
  std::size_t memory_bytes_max = 0;     // of all models together; 0: no limit
  int loads_max = 0;                    // models loaded beside each other; 0: by the cores
  std::chrono::milliseconds reload{0};  // how often files are looked at for changes; 0: never
  // What is remembered from one start to the next; empty: nothing.
  std::filesystem::path start_record;
  int cpu_threads = 0;  // of the pool for pre- and post-processing; 0: one a core
  std::string log_level = "info";
  int requests_max = 20'000;  // in flight in the whole process
  engine::PreparedOptions prepared = default_prepared();
  std::vector<std::filesystem::path> plugins;  // shared libraries with pipelines
  std::filesystem::path models_folder;         // "": none; models added to it later can be loaded
  CacheConfig cache;                           // of responses, for the models that want one
  std::vector<ModelConfig> models;
  std::vector<PipelineConfig> pipelines;
  std::vector<CascadeConfig> cascades;

  // The folder relative paths in the file start at.
  std::filesystem::path base() const { return file.parent_path(); }
};

// Reads a YAML file. Errors: kNotFound, kInvalidArgument as "file:line:column: what, and how to
// mend it".
Config load_config(const std::filesystem::path& file);
// As load_config, from text; `file` is for messages and relative paths.
Config parse_config(const std::string& text, const std::filesystem::path& file);

// What `baozi serve PATH` serves: a .yaml/.yml file, a folder of models (Triton's layout:
// folder/MODEL/VERSION/file), or one model file under `name` (its stem when empty). Errors:
// kNotFound, kInvalidArgument.
Config config_for(const std::filesystem::path& path, const std::string& name = "");

// The model of that name in a folder of models; nothing when there is none.
std::optional<ModelConfig> find_model(const std::filesystem::path& folder, const std::string& name);

// The versions of a model path, ascending: {"1", folder/1/model.onnx}, …; a bare file is version
// "1". Errors: kNotFound when the folder has no version folder with a model file in it.
struct ModelVersion {
  std::string version;
  std::filesystem::path file;
};
std::vector<ModelVersion> find_versions(const std::filesystem::path& path);

// Of those that were found, the ones to serve, ascending. Errors: kNotFound for a specific one that
// is not there.
std::vector<ModelVersion> choose_versions(const VersionConfig& config,
                                          std::vector<ModelVersion> found);

}  // namespace baozi::serve
