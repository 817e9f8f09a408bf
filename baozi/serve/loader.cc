#include "baozi/serve/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "baozi/base/cores.h"
#include "baozi/base/log.h"
#include "baozi/engine/engine.h"
#include "baozi/llm/scheduled_language.h"
#include "baozi/pipeline/batched_model.h"
#include "baozi/pipeline/builtin/model_files.h"
#include "baozi/pipeline/pipeline.h"
#include "baozi/serve/server.h"

namespace baozi::serve {
namespace {

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
  if (model.instances.least > 0) return model.instances.least;
  return std::max(1, usable_cores() / model.options.threads);
}

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

engine::Engine& engine_of(const ModelConfig& model, const ModelVersion& version) {
  return model.engine.empty() ? engine::engine_for(version.file)
                              : engine::open_engine(model.engine);
}

std::shared_ptr<model::Servable> open_model(const ModelConfig& model, const ModelVersion& version,
                                            StopToken stop) {
  engine::Engine& engine = engine_of(model, version);
  if (engine.of_language()) return open_language(engine, model, version, std::move(stop));
  pipeline::BatchedModelOptions options;
  options.name = model.name;
  options.version = version.version;
  options.platform = engine.name() == "onnx" ? "onnxruntime_onnx" : std::string(engine.name());
  if (!model.labels.empty()) options.labels = pipeline::read_lines(model.labels);
  options.file = version.file;
  options.instances = instance_count(model);
  options.instances_max = model.instances.most;
  options.batch = batch_options(model);
  options.pad = model.pad;
  std::shared_ptr<engine::Model> loaded = engine.load(version.file, model.options, stop);
  if (loaded->prepared()) log().debug("{} is loaded as it was prepared", model.name);
  if (!loaded->signature().batchable()) options.batch.max_batch = 1;
  return std::make_shared<pipeline::BatchedModel>(std::move(loaded), std::move(options));
}

std::shared_ptr<model::Servable> open_pipeline(const Config& config, const PipelineConfig& pipeline,
                                               const model::Repository& repository, Executor& cpu) {
  pipeline::PipelineContext context;
  context.name = pipeline.name;
  context.cpu = &cpu;
  context.models = &repository;
  context.options = pipeline.options;
  context.folder = config.base();
  return ready_registry().make(pipeline.type, std::move(context));
}

}  // namespace baozi::serve
