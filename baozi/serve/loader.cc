#include "baozi/serve/loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/engine/engine.h"
#include "baozi/llm/scheduled_language.h"
#include "baozi/pipeline/batched_model.h"
#include "baozi/pipeline/builtin/model_files.h"

namespace baozi::serve {
namespace {

using model::State;

pipeline::BatchOptions batch_options(const ModelConfig& model) {
  pipeline::BatchOptions options;
  options.policy = model.batch.policy == "size"    ? pipeline::BatchPolicy::kSize
                   : model.batch.policy == "delay" ? pipeline::BatchPolicy::kFixedDelay
                                                   : pipeline::BatchPolicy::kAdaptive;
  options.max_batch = model.batch.max;
  options.max_delay = model.batch.delay;
  if (model.queue_max > 0) options.queue_max = model.queue_max;
  return options;
}

// An unset value is one instance a core, fewer when each uses several threads.
int instance_count(const ModelConfig& model) {
  if (model.instances > 0) return model.instances;
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return std::max(1, cores / model.options.threads);
}

std::string reason_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "unknown error";
  }
}

// By its name: no engine is opened for it.
bool is_language(const std::filesystem::path& file) { return file.extension() == ".gguf"; }

// Ids for the past of conversations, beyond those of the answers at once.
constexpr int kKeptSequences = 56;

// What is kept of one model, type of KV memory and engine is of no use to another.
std::optional<llm::PrefixStore> prefix_store(const engine::Engine& engine, const ModelConfig& model,
                                             const ModelVersion& version) {
  const LanguageConfig& language = model.language;
  if (language.prefixes.empty()) return std::nullopt;
  return llm::PrefixStore(language.prefixes,
                          fmt::format("{} {} {}", llm::fingerprint(version.file),
                                      static_cast<int>(language.engine.kv), engine.version()),
                          language.prefixes_bytes_max);
}

std::shared_ptr<model::Servable> open_language(engine::Engine& engine, const ModelConfig& model,
                                               const ModelVersion& version, StopToken stop) {
  engine::LanguageOptions options = model.language.engine;
  options.sequences = model.language.answers_max + kKeptSequences;
  options.batch = std::max(options.batch, model.language.answers_max);
  if (!model.language.chat_template.empty())
    options.chat_template = pipeline::read_text(model.language.chat_template);
  std::shared_ptr<engine::LanguageModel> loaded =
      engine.load_language(version.file, options, std::move(stop));
  llm::ScheduledLanguageOptions served;
  served.name = model.name;
  served.version = version.version;
  served.origin = {version.file, loaded->facts().metadata};
  served.sequences = options.sequences;
  served.running_max = model.language.answers_max;
  if (model.queue_max > 0) served.queue_max = static_cast<std::size_t>(model.queue_max);
  served.window = model.language.window;
  served.stall = model.language.stall;
  served.guess = model.language.guess;
  served.adapters = model.language.adapters;
  served.offload_bytes_max = model.language.offload_bytes_max;
  const engine::LanguageMemory& memory = loaded->facts().memory;
  log().info(
      "{}: {}, {} MB estimated ({} of weights, {} of keys and values, {} to compute), and up to {} "
      "for what past requests computed",
      model.name, loaded->facts().description, memory.total() >> 20, memory.weights >> 20,
      memory.kv >> 20, memory.compute >> 20, served.offload_bytes_max >> 20);
  return std::make_shared<llm::ScheduledLanguage>(std::move(loaded), std::move(served),
                                                  prefix_store(engine, model, version));
}

}  // namespace

std::shared_ptr<model::Servable> open_model(const ModelConfig& model, const ModelVersion& version,
                                            StopToken stop) {
  engine::Engine& engine =
      model.engine.empty() ? engine::engine_for(version.file) : engine::open_engine(model.engine);
  if (engine.of_language()) return open_language(engine, model, version, std::move(stop));
  pipeline::BatchedModelOptions options;
  options.name = model.name;
  options.version = version.version;
  options.platform = engine.name() == "onnx" ? "onnxruntime_onnx" : std::string(engine.name());
  if (!model.labels.empty()) options.labels = pipeline::read_lines(model.labels);
  options.file = version.file;
  options.instances = instance_count(model);
  options.batch = batch_options(model);
  options.pad = model.pad;
  std::shared_ptr<engine::Model> loaded = engine.load(version.file, model.options, stop);
  if (!loaded->signature().batchable()) options.batch.max_batch = 1;
  return std::make_shared<pipeline::BatchedModel>(std::move(loaded), std::move(options));
}

Loader::Loader(const Config& config, model::Repository& repository, pipeline::Registry& registry,
               Executor& cpu)
    : config_(config), repository_(repository), registry_(registry), cpu_(cpu) {}

void Loader::announce() {
  for (const ModelConfig& model : config_.models) {
    try {
      for (const ModelVersion& version : find_versions(model.path)) {
        repository_.set_status(
            {model.name, version.version, State::kLoading, "", is_language(version.file)});
      }
    } catch (const Error& error) {
      repository_.set_status({model.name, "1", State::kFailed, error.message()});
    }
  }
  for (const PipelineConfig& pipeline : config_.pipelines) {
    repository_.set_status({pipeline.name, "1", State::kLoading, ""});
  }
}

void Loader::load_all(StopToken stop) {
  const auto attempt = [&](const std::string& name, const auto& load) {
    if (stop.stop_requested()) return;
    try {
      load();
    } catch (const std::exception& error) {
      log().error("{} is not served: {}", name, error.what());
    }
  };
  const std::lock_guard lock(mutex_);
  for (const ModelConfig& model : config_.models)
    attempt(model.name, [&] { load_model(model, stop); });
  for (const PipelineConfig& pipeline : config_.pipelines)
    attempt(pipeline.name, [&] { load_pipeline(pipeline); });
}

void Loader::load(const std::string& name, StopToken stop) {
  const std::lock_guard lock(mutex_);
  const auto model = std::ranges::find(config_.models, name, &ModelConfig::name);
  if (model != config_.models.end()) return load_model(*model, stop);
  const auto pipeline = std::ranges::find(config_.pipelines, name, &PipelineConfig::name);
  if (pipeline != config_.pipelines.end()) return load_pipeline(*pipeline);
  if (const std::optional<ModelConfig> added =
          config_.models_folder.empty() ? std::nullopt : find_model(config_.models_folder, name)) {
    return load_model(*added, stop);
  }
  std::vector<std::string> names;
  for (const ModelConfig& each : config_.models) names.push_back(each.name);
  for (const PipelineConfig& each : config_.pipelines) names.push_back(each.name);
  throw Error(Code::kNotFound,
              fmt::format("'{}' is not configured; there are: {}", name, fmt::join(names, ", ")));
}

void Loader::unload(const std::string& name) {
  const std::lock_guard lock(mutex_);
  for (const model::VersionStatus& version : repository_.versions(name)) {
    repository_.set_status({name, version.version, State::kUnloaded, "unloaded on request"});
  }
}

// Every version is tried; the first error leaves at the end.
void Loader::load_model(const ModelConfig& model, StopToken stop) {
  std::exception_ptr first;
  for (const ModelVersion& version : find_versions(model.path)) {
    try {
      load_version(model, version, stop);
    } catch (...) {
      if (!first) first = std::current_exception();
      repository_.set_status({model.name, version.version, State::kFailed,
                              reason_of(std::current_exception()), is_language(version.file)});
    }
  }
  if (first) std::rethrow_exception(first);
}

void Loader::load_version(const ModelConfig& model, const ModelVersion& version, StopToken stop) {
  const Time start = Clock::now();
  // What is served goes on being served until its successor is there.
  std::shared_ptr<model::Servable> servable = open_model(model, version, stop);
  repository_.add(std::move(servable));
  log().info("{} version {} is ready after {} ms", model.name, version.version,
             std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count());
}

void Loader::load_pipeline(const PipelineConfig& pipeline) {
  try {
    pipeline::PipelineContext context;
    context.name = pipeline.name;
    context.cpu = &cpu_;
    context.models = &repository_;
    context.options = pipeline.options;
    context.folder = config_.base();
    repository_.add(registry_.make(pipeline.type, std::move(context)));
    log().info("pipeline {} is ready", pipeline.name);
  } catch (...) {
    repository_.set_status(
        {pipeline.name, "1", State::kFailed, reason_of(std::current_exception())});
    throw;
  }
}

}  // namespace baozi::serve
