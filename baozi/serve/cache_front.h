// CacheFront: puts the response cache before what is served, and tells it from the start whose
// answers it may give while a model is not there yet.
//
//   CacheFront front(config, caches);               // `caches` may be null: then it does nothing
//   front.announce(stop);
//   const std::string identity = front.identity_of(model, version);
//   servable = front.before(std::move(servable), model, version, identity);
//
// Thread safety: all methods. They read files, and belong on a lane.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "baozi/coro/stop.h"
#include "baozi/model/model_cache.h"
#include "baozi/model/servable.h"
#include "baozi/serve/config.h"
#include "baozi/serve/model_identity.h"

namespace baozi::serve {

class CacheFront {
 public:
  // Both outlive it.
  CacheFront(const Config& config, model::ResponseCaches* caches);

  // Before anything is loaded: what is kept of earlier answers is answered with from then on.
  // Reading a model's file is quick beside loading it. What goes wrong here goes wrong, and is
  // told, when it is loaded.
  void announce(const StopToken& stop);

  // What stands for the content of a version, in the keys of answers; "" without a cache.
  std::string identity_of(const ModelConfig& model, const ModelVersion& version);
  // The servable as clients see it. Errors: kAborted when its file is not what it was when
  // `identity` was asked for.
  std::shared_ptr<model::Servable> before(std::shared_ptr<model::Servable> servable,
                                          const ModelConfig& model, const ModelVersion& version,
                                          const std::string& identity);
  std::shared_ptr<model::Servable> before(std::shared_ptr<model::Servable> servable,
                                          const PipelineConfig& pipeline);

 private:
  std::string read_identity(const ModelConfig& model, const ModelVersion& version);
  std::string read_identity(const PipelineConfig& pipeline);
  model::ModelCache& announce(const std::string& name, const ModelCacheConfig& config,
                              const std::string& version, const std::string& identity);

  const Config& config_;
  model::ResponseCaches* const caches_;
  std::mutex mutex_;
  ModelIdentities identities_;  // guarded by mutex_
};

}  // namespace baozi::serve
