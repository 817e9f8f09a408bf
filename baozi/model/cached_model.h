// CachedModel: a Servable before which a response cache stands.
//
// A request whose answer is kept gets it at once. Otherwise it joins the run of an equal request
// that is under way, or starts one: a thousand equal requests run the model once and get the same
// answer, or the same error, which is not kept. A run belongs to all who wait for it: it ends early
// only when all of them have left.
//
//   model::ResponseCaches caches({.bytes_max = 256 << 20});
//   model::ModelCache& cache = caches.add("resnet", {.ttl = 10min});
//   cache.announce("1", digest);
//   auto servable = std::make_shared<model::CachedModel>(batched, cache);
//
// Thread safety: all methods.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/model/model_cache.h"
#include "baozi/model/servable.h"

namespace baozi::model {

class CachedModel final : public Servable, public std::enable_shared_from_this<CachedModel> {
 public:
  // `cache` is that of inner->name(), outlives this, and knows inner->version().
  CachedModel(std::shared_ptr<Servable> inner, ModelCache& cache);

  const std::string& name() const noexcept override { return inner_->name(); }
  const std::string& version() const noexcept override { return inner_->version(); }
  std::string_view platform() const noexcept override { return inner_->platform(); }
  const engine::Signature& signature() const noexcept override { return inner_->signature(); }
  const std::vector<std::string>& labels() const noexcept override { return inner_->labels(); }
  const Origin& origin() const noexcept override { return inner_->origin(); }
  bool ready() const noexcept override { return inner_->ready(); }
  bool cached() const noexcept override { return true; }
  // The inner one's, and what the cache did. A request that joined another's run counts as a miss.
  Statistics statistics() const override;
  // None: what is kept is answered also when there is no room to compute anything.
  std::optional<Refusal> refusal() const noexcept override { return std::nullopt; }

  // Errors: as the inner one's.
  Task<InferResponse> infer(InferRequest request) override;

 private:
  struct Sum {
    void add(Duration span) noexcept;
    Statistics::Duration read() const noexcept;
    std::atomic<std::uint64_t> count{0};
    std::atomic<std::uint64_t> ns{0};
  };

  Task<InferResponse> refresh(CacheKey key, InferRequest request);
  Task<InferResponse> fly(CacheKey key, InferRequest request, Time start);
  static Task<void> run(std::shared_ptr<CachedModel> self, std::shared_ptr<Flight> flight,
                        InferRequest request);
  Task<InferResponse> ask_inner(InferRequest request);

  const std::shared_ptr<Servable> inner_;
  ModelCache& cache_;
  const CacheKey scope_;
  Sum hits_;
  Sum misses_;  // those that ran, and those that joined
  Sum joined_;
};

}  // namespace baozi::model
