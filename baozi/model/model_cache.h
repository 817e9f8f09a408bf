// ModelCache: the response cache of one model by name. ResponseCaches: those of the process, over
// one budget of memory, and a second tier behind it when there is one. They outlive the servables,
// so that a hit is served while its model is absent:
//
//   ModelCache* cache = caches.find("resnet");  // null: the model has none
//   std::optional<InferResponse> hit = co_await cache->find(request);  // no Servable needed
//
// Thread safety: all methods, from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "baozi/base/clock.h"
#include "baozi/coro/executor.h"
#include "baozi/coro/nursery.h"
#include "baozi/coro/task.h"
#include "baozi/model/cache_key.h"
#include "baozi/model/face.h"
#include "baozi/model/flight.h"
#include "baozi/model/request.h"
#include "baozi/model/response_cache.h"
#include "baozi/model/second_tier.h"
#include "baozi/model/servable.h"

namespace prometheus {
class Counter;
}

namespace baozi::model {

struct ModelCacheOptions {
  Duration ttl = std::chrono::minutes(10);
};

class ResponseCaches;

// Puts `outputs` in the order of the names; those that are not named come behind.
void put_in_order(const std::vector<std::string>& wanted, Tensors& outputs);

class ModelCache {
 public:
  // What came of a request.
  enum class Result : std::uint8_t { kHit, kMiss, kJoined, kExpired, kBypass };
  static constexpr std::size_t kResults = 5;

  ModelCache(ResponseCaches& all, std::string model, ModelCacheOptions options);
  ModelCache(const ModelCache&) = delete;
  ModelCache& operator=(const ModelCache&) = delete;

  const std::string& model() const noexcept { return model_; }

  // From now on answers of this version may be given, also while it is not loaded. `identity`
  // stands for its content; another one than before ends the use of what was kept. The hottest
  // entries of the second tier are pulled.
  void announce(const std::string& version, std::string_view identity);
  // The version is no more to be answered for.
  void forget(std::string_view version);
  // What is announced of it; nothing when it is not.
  std::optional<CacheKey> scope(std::string_view version) const;
  // Of a servable of this model. Errors: kFailedPrecondition when its version is not announced.
  CacheKey scope_of(const Servable& servable) const;

  // From now on the face of this version is known: here, and with the answers that are stored from
  // now on to those that share the second tier.
  void show(const Servable& servable, const CacheKey& scope);
  // What is known of the face of an announced version; "" means the highest. Null: nothing.
  Task<std::shared_ptr<const Face>> face(std::string version);

  // For a request whose model is not there: what is kept for its version, or for the highest
  // announced when it names none. Looks into the second tier, too. Counts a hit, or nothing.
  Task<std::optional<InferResponse>> find(InferRequest request);

  // For CachedModel. A look at the memory; the response is the asker's. Counts.
  std::optional<InferResponse> find_local(const CacheKey& scope, const CacheKey& key,
                                          const InferRequest& request, Time now);
  // As find_local, but counts nothing.
  std::optional<InferResponse> peek(const CacheKey& key, const InferRequest& request, Time now);
  // A look at the second tier; keeps what it finds.
  Task<std::optional<InferResponse>> fetch(CacheKey scope, CacheKey key);
  void store(const CacheKey& scope, const CacheKey& key, const InferResponse& response);

  // The same of answers of any kind, as bytes; `block` has kRecordHeadBytes free in front.
  std::optional<ResponseCache::Answer> find_bytes(const CacheKey& scope, const CacheKey& key,
                                                  Time now);
  Task<std::optional<ResponseCache::Answer>> fetch_bytes(CacheKey scope, CacheKey key);
  void store_bytes(const CacheKey& scope, const CacheKey& key, Bytes block);
  // As find_bytes, and as both together, for what is no answer by itself: they count nothing.
  std::optional<ResponseCache::Answer> look_local(const CacheKey& scope, const CacheKey& key,
                                                  Time now);
  Task<std::optional<ResponseCache::Answer>> look(CacheKey scope, CacheKey key);
  void count(Result result) noexcept;
  ResponseCaches& all() noexcept { return all_; }
  Flights& flights() noexcept { return flights_; }

 private:
  // By number, else by text; without a version the last of them is meant.
  struct VersionOrder {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const noexcept;
  };

  ResponseCache::Found use(const CacheKey& scope, const CacheKey& key, Time now);
  std::optional<ResponseCache::Answer> take_record(const CacheKey& scope, const CacheKey& key,
                                                   const Bytes& record);
  std::string latest() const;
  std::shared_ptr<const Face> known_face(const CacheKey& scope) const;
  void share_face(const CacheKey& scope);
  void learn(const CacheKey& scope, std::shared_ptr<const Face> face);

  ResponseCaches& all_;
  const std::string model_;
  const ModelCacheOptions options_;
  prometheus::Counter* counters_[kResults];
  Flights flights_;
  std::atomic<std::uint64_t> stored_{0};  // answers, in the second tier
  mutable std::shared_mutex mutex_;
  // Guarded by mutex_:
  std::map<std::string, CacheKey, VersionOrder> scopes_;
  std::unordered_map<CacheKey, std::shared_ptr<const Face>, CacheKeyHash> faces_;  // by scope
};

class ResponseCaches {
 public:
  // Runs go on `executor`, which outlives this. `second` may be null.
  ResponseCaches(ResponseCacheOptions options, Executor& executor,
                 std::unique_ptr<SecondTier> second = nullptr);
  ~ResponseCaches();
  ResponseCaches(const ResponseCaches&) = delete;
  ResponseCaches& operator=(const ResponseCaches&) = delete;

  // The model's; made when it has none yet, otherwise as it is.
  ModelCache& add(const std::string& model, ModelCacheOptions options);
  // Null when the model has none. Stays good.
  ModelCache* find(std::string_view model) const;

  // Waits for the runs that go on; when all requests have ended, they end. To be awaited before
  // this goes.
  Task<void> join();

  ResponseCache& memory() noexcept { return memory_; }
  SecondTier* second() noexcept { return second_.get(); }
  // Starts a run; it must not throw.
  void spawn(Task<void> run) noexcept { runs_.spawn(std::move(run)); }

  // Brings the metrics up to date: baozi_cache_bytes, baozi_cache_entries, …
  void publish();

 private:
  ResponseCache memory_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, std::unique_ptr<ModelCache>, std::less<>> models_;  // guarded by mutex_
  std::mutex publish_mutex_;
  ResponseCache::Counters published_;  // guarded by publish_mutex_
  Nursery runs_;
  const std::unique_ptr<SecondTier> second_;  // last: ends what it pulls first
};

}  // namespace baozi::model
