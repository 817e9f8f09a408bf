#include "baozi/model/stand_in.h"

#include <fmt/format.h>

#include "baozi/base/error.h"

namespace baozi::model {

Task<InferResponse> StandIn::infer(InferRequest request) {
  Task<std::optional<InferResponse>> finding = find(std::move(request));
  std::optional<InferResponse> kept = co_await std::move(finding);
  if (!kept) {
    throw Error(Code::kUnavailable,
                fmt::format("model '{}' version {} is not there, and this request's answer is not "
                            "kept",
                            name(), version_));
  }
  co_return *std::move(kept);
}

Task<std::shared_ptr<StandIn>> make_stand_in(ModelCache* cache, std::string version) {
  Task<std::shared_ptr<const Face>> asking = cache->face(version);
  std::shared_ptr<const Face> face = co_await std::move(asking);
  if (face == nullptr) co_return nullptr;
  co_return std::make_shared<StandIn>(*cache, std::move(version), std::move(face));
}

}  // namespace baozi::model
