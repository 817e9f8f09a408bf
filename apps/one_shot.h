// What `baozi run` and `baozi inspect` share: the models and pipelines of a path, without a server.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "baozi/coro/thread_pool.h"
#include "baozi/model/repository.h"
#include "baozi/model/servable.h"
#include "baozi/serve/config.h"

namespace baozi::apps {

class OneShot {
 public:
  // Plug-ins of the config are opened; nothing is loaded yet. Errors: as serve::config_for.
  explicit OneShot(const std::filesystem::path& path);

  const serve::Config& config() const noexcept { return config_; }
  // What `name` calls, or the only (or, with pipelines, the only pipeline's) servable when it is
  // empty; loaded with all it needs. Errors: kInvalidArgument that lists the names when there are
  // several; what loading throws.
  std::shared_ptr<model::Servable> open(const std::string& name);

 private:
  serve::Config config_;
  model::Repository repository_;
  ThreadPool cpu_;
};

}  // namespace baozi::apps
