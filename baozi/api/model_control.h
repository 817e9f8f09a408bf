// ModelControl: what loads and unloads models when a client asks for it; the composition root
// provides it.
//
// Thread safety: all methods, from any thread.
#pragma once

#include <string>

#include "baozi/coro/task.h"

namespace baozi::api {

class ModelControl {
 public:
  virtual ~ModelControl() = default;

  // Returns when the model's versions are ready. Errors: kNotFound; what the engine says of the
  // file.
  virtual Task<void> load(std::string name) = 0;
  // Returns when no request uses the model any more. Errors: kNotFound.
  virtual Task<void> unload(std::string name) = 0;
};

}  // namespace baozi::api
