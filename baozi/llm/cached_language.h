// CachedLanguage: a language model before which a response cache stands. A request that gets the
// same answer each time (CompletionRequest::repeatable) is answered from what is kept; or it reads
// along with an equal one that is being answered, from the beginning; or it starts one. An answer
// goes on as long as anybody reads it, and is kept when it has ended well.
//
//   auto servable = std::make_shared<llm::CachedLanguage>(scheduled, caches.add("bao", {}));
//
// Thread safety: all methods.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "baozi/llm/answer_log.h"
#include "baozi/llm/language_servable.h"
#include "baozi/model/model_cache.h"

namespace baozi::llm {

class CachedLanguage final : public LanguageServable,
                             public std::enable_shared_from_this<CachedLanguage> {
 public:
  // `cache` is that of inner->name(), outlives this, and knows inner->version().
  CachedLanguage(std::shared_ptr<LanguageServable> inner, model::ModelCache& cache);

  const std::string& name() const noexcept override { return inner_->name(); }
  const std::string& version() const noexcept override { return inner_->version(); }
  std::string_view platform() const noexcept override { return inner_->platform(); }
  const engine::Signature& signature() const noexcept override { return inner_->signature(); }
  const std::vector<std::string>& labels() const noexcept override { return inner_->labels(); }
  const model::Origin& origin() const noexcept override { return inner_->origin(); }
  bool ready() const noexcept override { return inner_->ready(); }
  bool cached() const noexcept override { return true; }
  model::Statistics statistics() const override { return inner_->statistics(); }
  std::optional<model::Refusal> refusal() const noexcept override { return std::nullopt; }
  Task<model::InferResponse> infer(model::InferRequest request) override {
    return inner_->infer(std::move(request));
  }

  Coming coming() override { return inner_->coming(); }
  engine::LanguageModel& language() noexcept override { return inner_->language(); }
  // What is wrong with a repeatable request its first next() says.
  std::unique_ptr<Completion> start(CompletionRequest request) override;
  LanguageLoad load() const noexcept override { return inner_->load(); }
  int window() const noexcept override { return inner_->window(); }
  const std::vector<std::string>& adapters() const noexcept override { return inner_->adapters(); }

 private:
  using Log = std::shared_ptr<AnswerLog>;

  std::unique_ptr<Completion> start_inner(CompletionRequest request);
  std::unique_ptr<Completion> join_or_start(const model::CacheKey& key, CompletionRequest request);
  static Task<void> run(std::shared_ptr<CachedLanguage> self, Log log, model::CacheKey key,
                        CompletionRequest request);
  Task<void> write(Log log, model::CacheKey key, CompletionRequest request);

  const std::shared_ptr<LanguageServable> inner_;
  model::ModelCache& cache_;
  const model::CacheKey scope_;
  std::mutex mutex_;
  // Answers on their way; guarded by mutex_.
  std::unordered_map<model::CacheKey, Log, model::CacheKeyHash> logs_;
};

}  // namespace baozi::llm
