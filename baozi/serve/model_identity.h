// ModelIdentities: what stands for the content of what is served, in the keys of the response
// cache. Other content, other keys; the same content on another machine, the same keys.
//
// Thread safety: by one thread at a time. Reads files, and belongs on a lane.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "baozi/serve/config.h"
#include "baozi/serve/model_files.h"

namespace baozi::serve {

class ModelIdentities {
 public:
  // A digest of the model's file, of those that its graph keeps weights in, and of the files beside
  // it that begin with its name. They are read again only when one of them has another size or time
  // than before.
  // Errors: kNotFound when one cannot be read.
  std::string of(const ModelVersion& version);
  // A digest of the pipeline's type and options, and of all models and plug-ins that are served
  // with it. Errors: as of().
  std::string of(const PipelineConfig& pipeline, const Config& config);

 private:
  struct Known {
    std::string stamp;  // names, sizes and times of the files
    std::string digest;
  };
  std::map<std::filesystem::path, Known> known_;
  ModelFiles files_;
};

}  // namespace baozi::serve
