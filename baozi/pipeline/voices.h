// Voices: which models of cascades spoke while a pipeline answered one request, so that its answer
// says so as a cascade's own does (model/cascade.h).
//
//   auto voices = std::make_shared<Voices>();
//   Tensor scores = co_await infer_on(cascade, std::move(image), priority, voices);
//   voices->say_in(response);              // parameter "answered_by": "resnet50"
//
// Thread safety: all methods.
#pragma once

#include <mutex>
#include <set>
#include <string>

#include "baozi/model/request.h"

namespace baozi::pipeline {

class Voices {
 public:
  // Takes note of who gave it; of no cascade's answers there is nothing to note.
  void hear(const model::InferResponse& response);
  // Sets the parameter kAnsweredBy to the name that was heard, or to all of them, ordered and with
  // ", " between, where several were: of several calls, or because the large model came meanwhile.
  void say_in(model::InferResponse& response) const;

 private:
  mutable std::mutex mutex_;
  std::set<std::string> names_;  // guarded by mutex_
};

}  // namespace baozi::pipeline
