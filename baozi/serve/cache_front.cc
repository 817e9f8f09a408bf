#include "baozi/serve/cache_front.h"

#include <fmt/format.h>

#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/llm/cached_language.h"
#include "baozi/llm/prefix_store.h"
#include "baozi/model/cached_model.h"

namespace baozi::serve {
namespace {

constexpr const char* kPipelineVersion = "1";

std::shared_ptr<model::Servable> with_cache(std::shared_ptr<model::Servable> servable,
                                            model::ModelCache& cache) {
  if (auto language = std::dynamic_pointer_cast<llm::LanguageServable>(servable))
    return std::make_shared<llm::CachedLanguage>(std::move(language), cache);
  return std::make_shared<model::CachedModel>(std::move(servable), cache);
}

}  // namespace

CacheFront::CacheFront(const Config& config, model::ResponseCaches* caches)
    : config_(config), caches_(caches) {}

model::ModelCache& CacheFront::announce(const std::string& name, const ModelCacheConfig& config,
                                        const std::string& version, const std::string& identity) {
  model::ModelCache& cache = caches_->add(name, {.ttl = config.ttl});
  cache.announce(version, identity);
  return cache;
}

// A language model's file may take gigabytes, so samples of it stand for it.
std::string CacheFront::read_identity(const ModelConfig& model, const ModelVersion& version) {
  if (version.file.extension() != ".gguf") {
    const std::lock_guard lock(mutex_);
    return identities_.of(version);
  }
  std::string identity = fmt::format("{} {}", llm::fingerprint(version.file),
                                     static_cast<int>(model.language.engine.kv));
  for (const auto& adapter : model.language.engine.adapters)
    identity += fmt::format(" {} {}", llm::fingerprint(adapter.file), adapter.scale);
  // Requests are found by their words, too, of which the template makes the prompt.
  if (!model.language.chat_template.empty())
    identity += fmt::format(" {}", llm::fingerprint(model.language.chat_template));
  return identity;
}

std::string CacheFront::read_identity(const PipelineConfig& pipeline) {
  const std::lock_guard lock(mutex_);
  return identities_.of(pipeline, config_);
}

void CacheFront::announce(const StopToken& stop) {
  if (caches_ == nullptr) return;
  const auto attempt = [&](const std::string& name, const ModelCacheConfig& config,
                           const auto& announce_it) {
    if (!config.on || stop.stop_requested()) return;
    try {
      announce_it();
    } catch (const Error& error) {
      log().debug("{}: {}", name, error.message());
    }
  };
  for (const ModelConfig& model : config_.models) {
    attempt(model.name, model.cache, [&] {
      for (const ModelVersion& version : choose_versions(model.versions, find_versions(model.path)))
        announce(model.name, model.cache, version.version, read_identity(model, version));
    });
  }
  for (const PipelineConfig& pipeline : config_.pipelines) {
    attempt(pipeline.name, pipeline.cache, [&] {
      announce(pipeline.name, pipeline.cache, kPipelineVersion, read_identity(pipeline));
    });
  }
}

std::string CacheFront::identity_of(const ModelConfig& model, const ModelVersion& version) {
  return caches_ != nullptr && model.cache.on ? read_identity(model, version) : "";
}

std::shared_ptr<model::Servable> CacheFront::before(std::shared_ptr<model::Servable> servable,
                                                    const ModelConfig& model,
                                                    const ModelVersion& version,
                                                    const std::string& identity) {
  if (caches_ == nullptr || !model.cache.on) return servable;
  if (read_identity(model, version) != identity) {
    throw Error(Code::kAborted, fmt::format("{} changed while it was loaded; load it again",
                                            version.file.string()));
  }
  return with_cache(std::move(servable),
                    announce(model.name, model.cache, version.version, identity));
}

std::shared_ptr<model::Servable> CacheFront::before(std::shared_ptr<model::Servable> servable,
                                                    const PipelineConfig& pipeline) {
  if (caches_ == nullptr || !pipeline.cache.on) return servable;
  return with_cache(std::move(servable), announce(pipeline.name, pipeline.cache,
                                                  servable->version(), read_identity(pipeline)));
}

}  // namespace baozi::serve
