// What the sources of LifeCycle share. Internal to them.
#pragma once

#include <algorithm>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "baozi/base/clock.h"
#include "baozi/coro/event.h"
#include "baozi/coro/stop.h"
#include "baozi/model/repository.h"
#include "baozi/serve/config.h"
#include "baozi/serve/life_cycle.h"
#include "baozi/serve/model_files.h"
#include "baozi/serve/warm_up.h"

namespace baozi::serve {

struct LifeCycle::Job {
  ModelConfig model;
  ModelVersion version;
  Duration expected{};
  Time begun = kNever;
  std::string stamp;               // of its files, as far as it was known when the load began
  ModelFiles::SystemTime since{};  // that time
  StopSource stop;                 // nobody wants it any more
  bool serving = false;            // an older form of it, which goes on while this one comes
  std::string identity;            // for the response cache
  std::weak_ptr<pipeline::BatchedModel> elastic = {};  // its instances are to grow and shrink
  std::unique_ptr<WarmStart> warm;                     // once it is loaded, when it is warmed up
  Time heat_by = kNever;                               // whoever is to have a first answer before
  Event done;
  std::exception_ptr error;  // written before `done` is set

  Key key() const { return {model.name, version.version}; }
};

// By its name: no engine is opened for it.
inline bool is_language(const std::filesystem::path& file) { return file.extension() == ".gguf"; }

inline model::VersionStatus status_for(const ModelConfig& model, const ModelVersion& version,
                                       model::State state, std::string reason = {}) {
  return {.name = model.name,
          .version = version.version,
          .state = state,
          .reason = std::move(reason),
          .language = is_language(version.file),
          .adapters = model.language.adapters,
          .on_demand = model.on_demand};
}

// The pipelines that answer OpenAI's /v1/embeddings.
inline constexpr std::string_view kEmbedType = "embed";

// Absent, and of the kind of its models, which are entered in the repository already.
model::VersionStatus status_for(const CascadeConfig& cascade, const Config& config,
                                const model::Repository& repository);

// A warm-up of what was loaded, which shows how far it is. Null: there is to be none.
std::unique_ptr<WarmStart> warm_start(std::shared_ptr<model::Servable> servable,
                                      const WarmupConfig& config, model::Repository& repository,
                                      bool serving);

std::optional<model::VersionStatus> status_of(const model::Repository& repository,
                                              const std::string& name, const std::string& version);
bool serves(const model::Repository& repository, const std::string& name,
            const std::string& version);

inline bool contains(const std::vector<ModelVersion>& versions, const std::string& version) {
  return std::ranges::find(versions, version, &ModelVersion::version) != versions.end();
}

}  // namespace baozi::serve
