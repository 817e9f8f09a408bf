// From a file and its configuration to a servable: engine, batcher or scheduler, labels; and from a
// pipeline's configuration.
//
// Thread safety: free functions. They block, and belong on a lane or the CPU pool.
#pragma once

#include <memory>

#include "baozi/coro/executor.h"
#include "baozi/coro/stop.h"
#include "baozi/engine/engine.h"
#include "baozi/model/repository.h"
#include "baozi/model/servable.h"
#include "baozi/serve/config.h"

namespace baozi::serve {

// The engine that opens it. Errors: as engine::engine_for and open_engine.
engine::Engine& engine_of(const ModelConfig& model, const ModelVersion& version);

// One version of a model as a servable. Errors: as engine::Engine::load, and kNotFound for a
// missing labels file.
std::shared_ptr<model::Servable> open_model(const ModelConfig& model, const ModelVersion& version,
                                            StopToken stop);

// A pipeline over models in `repository`; both outlive it, as `cpu` does, where it computes.
// Errors: model::NotReady for a model that is not there yet, kNotFound for an unknown type, and
// what the pipeline says of its options.
std::shared_ptr<model::Servable> open_pipeline(const Config& config, const PipelineConfig& pipeline,
                                               const model::Repository& repository, Executor& cpu);

}  // namespace baozi::serve
