// Loader: brings what a Config names into the Repository: models one after the other, then the
// pipelines over them.
//
// Thread safety: all methods; loads run one at a time. They block, and belong on a lane.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "baozi/coro/executor.h"
#include "baozi/coro/stop.h"
#include "baozi/model/servable.h"
#include "baozi/pipeline/pipeline.h"
#include "baozi/serve/config.h"

namespace baozi::serve {

class Loader {
 public:
  // All outlive the loader. `cpu` is where pipelines compute.
  Loader(const Config& config, model::Repository& repository, pipeline::Registry& registry,
         Executor& cpu);

  // Enters every version and pipeline in the repository as loading, so that clients are told so
  // from the start. A model whose files are missing is entered as failed. Reads folders, no models.
  void announce();

  // Loads all. What fails is logged and noted in the repository; the rest goes on. Ends early when
  // `stop` asks for it.
  void load_all(StopToken stop);

  // Loads the versions of one model or pipeline anew, from what its files are now.
  // Errors: kNotFound, and what the engine says of the file.
  void load(const std::string& name, StopToken stop);
  // Takes it out of the repository; requests that run keep it alive until they end. Errors:
  // kNotFound.
  void unload(const std::string& name);

 private:
  void load_model(const ModelConfig& model, StopToken stop);
  void load_version(const ModelConfig& model, const ModelVersion& version, StopToken stop);
  void load_pipeline(const PipelineConfig& pipeline);

  const Config& config_;
  model::Repository& repository_;
  pipeline::Registry& registry_;
  Executor& cpu_;
  std::mutex mutex_;  // one load at a time
};

// One version of a model as a servable: engine, batcher, labels. Blocks. Errors: as
// engine::Engine::load, and kNotFound for a missing labels file.
std::shared_ptr<model::Servable> open_model(const ModelConfig& model, const ModelVersion& version,
                                            StopToken stop);

}  // namespace baozi::serve
