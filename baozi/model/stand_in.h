// StandIn: a model that is not there, as far as the answers that are kept of it go. It reads and
// writes requests as the model would, because it has the model's face; it computes nothing.
//
//   auto stand_in = co_await make_stand_in(caches.find("resnet"), "1");   // null: its face is not
//   std::optional<InferResponse> kept = co_await stand_in->find(request);  // known
//
// Thread safety: all methods. The cache outlives it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baozi/coro/task.h"
#include "baozi/model/face.h"
#include "baozi/model/model_cache.h"
#include "baozi/model/servable.h"

namespace baozi::model {

class StandIn final : public Servable {
 public:
  StandIn(ModelCache& cache, std::string version, std::shared_ptr<const Face> face)
      : cache_(cache), version_(std::move(version)), face_(std::move(face)) {}

  const std::string& name() const noexcept override { return cache_.model(); }
  const std::string& version() const noexcept override { return version_; }
  std::string_view platform() const noexcept override { return "baozi_cache"; }
  const engine::Signature& signature() const noexcept override { return face_->signature; }
  const std::vector<std::string>& labels() const noexcept override { return face_->labels; }
  bool ready() const noexcept override { return false; }
  bool cached() const noexcept override { return true; }
  Statistics statistics() const override { return {}; }
  // What is kept for the request. Errors: kUnavailable when nothing is.
  Task<InferResponse> infer(InferRequest request) override;
  // As infer, without an error.
  Task<std::optional<InferResponse>> find(InferRequest request) {
    request.version = version_;
    return cache_.find(std::move(request));
  }

 private:
  ModelCache& cache_;
  const std::string version_;
  const std::shared_ptr<const Face> face_;
};

// Looks into the second tier, too. Null when the face of this version is not known.
Task<std::shared_ptr<StandIn>> make_stand_in(ModelCache* cache, std::string version);

}  // namespace baozi::model
