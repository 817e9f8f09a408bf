#include "baozi/model/model_cache.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/metrics.h"
#include "baozi/model/cache_record.h"
#include "baozi/model/cached_response.h"

namespace baozi::model {
namespace {

using std::chrono::milliseconds;

// A face is that of its content: it does not change.
constexpr auto kFaceTtl = std::chrono::hours(24 * 30);

constexpr const char* kResultNames[ModelCache::kResults] = {"hit", "miss", "joined", "expired",
                                                            "bypass"};

std::int64_t epoch_ms() {
  return std::chrono::duration_cast<milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// The face of a version whose answers are kept under `scope`.
CacheKey face_key(const CacheKey& scope) { return cache_scope("", "face", to_string(scope)); }

void count_damaged() {
  static prometheus::Counter& damaged =
      metrics::counter("baozi_cache_damaged_total", "Entries of the second tier that were no use");
  damaged.Increment();
}

// A kept answer as the asker's: his id, and his outputs in his order.
std::optional<InferResponse> answer_to(const InferRequest& request,
                                       const ResponseCache::Answer& answer, Time now) {
  std::optional<InferResponse> response = decode_response(answer.bytes);
  if (!response) return std::nullopt;
  put_in_order(request.outputs, response->outputs);
  response->model = request.model;
  response->id = request.id;
  response->age = std::max(now - answer.stored, Duration{});
  return response;
}

}  // namespace

void put_in_order(const std::vector<std::string>& wanted, Tensors& outputs) {
  for (std::size_t i = 0; i < wanted.size() && i < outputs.size(); ++i) {
    const auto from = outputs.begin() + static_cast<std::ptrdiff_t>(i);
    const auto at = std::find_if(from, outputs.end(),
                                 [&](const NamedTensor& each) { return each.name == wanted[i]; });
    if (at != outputs.end()) std::iter_swap(from, at);
  }
}

bool ModelCache::VersionOrder::operator()(std::string_view a, std::string_view b) const noexcept {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

ModelCache::ModelCache(ResponseCaches& all, std::string model, ModelCacheOptions options)
    : all_(all), model_(std::move(model)), options_(options) {
  for (std::size_t i = 0; i < kResults; ++i) {
    counters_[i] = &metrics::counter("baozi_cache_requests_total",
                                     "Requests of models with a response cache, by what it did",
                                     {{"model", model_}, {"result", kResultNames[i]}});
  }
}

void ModelCache::announce(const std::string& version, std::string_view identity) {
  const CacheKey scope = cache_scope(model_, version, identity);
  {
    const std::unique_lock lock(mutex_);
    CacheKey& known = scopes_[version];
    if (known == scope) return;
    known = scope;
  }
  if (all_.second() == nullptr) return;
  all_.second()->pull(scope, [this, scope](const CacheKey& key, Bytes record) {
    (void)take_record(scope, key, record);
  });
}

void ModelCache::forget(std::string_view version) {
  const std::unique_lock lock(mutex_);
  if (const auto at = scopes_.find(version); at != scopes_.end()) scopes_.erase(at);
}

std::optional<CacheKey> ModelCache::scope(std::string_view version) const {
  const std::shared_lock lock(mutex_);
  const auto at = scopes_.find(version);
  if (at == scopes_.end()) return std::nullopt;
  return at->second;
}

CacheKey ModelCache::scope_of(const Servable& servable) const {
  if (const std::optional<CacheKey> known = scope(servable.version())) return *known;
  throw Error(Code::kFailedPrecondition,
              fmt::format("version {} of '{}' is not announced to its response cache; call "
                          "announce() first",
                          servable.version(), servable.name()));
}

std::string ModelCache::latest() const {
  const std::shared_lock lock(mutex_);
  return scopes_.empty() ? "" : scopes_.rbegin()->first;
}

std::shared_ptr<const Face> ModelCache::known_face(const CacheKey& scope) const {
  const std::shared_lock lock(mutex_);
  const auto at = faces_.find(scope);
  return at == faces_.end() ? nullptr : at->second;
}

void ModelCache::learn(const CacheKey& scope, std::shared_ptr<const Face> face) {
  const std::unique_lock lock(mutex_);
  // Of what was announced before and is no more, nobody asks.
  std::erase_if(faces_, [this](const auto& each) {
    return std::ranges::none_of(
        scopes_, [&each](const auto& scope_of) { return scope_of.second == each.first; });
  });
  faces_[scope] = std::move(face);
}

void ModelCache::show(const Servable& servable, const CacheKey& scope) {
  if (known_face(scope) != nullptr) return;
  learn(scope, std::make_shared<const Face>(face_of(servable)));
}

void ModelCache::share_face(const CacheKey& scope) {
  const std::shared_ptr<const Face> face = known_face(scope);
  if (face == nullptr) return;
  const CacheKey key = face_key(scope);
  Bytes block = encode_face(*face, kRecordHeadBytes);
  const std::int64_t now_ms = epoch_ms();
  seal_record(block, key, now_ms, now_ms + milliseconds(kFaceTtl).count());
  all_.second()->put(key, key, std::move(block), kFaceTtl);
}

Task<std::shared_ptr<const Face>> ModelCache::face(std::string version) {
  const std::optional<CacheKey> known = scope(version.empty() ? latest() : version);
  if (!known) co_return nullptr;
  std::shared_ptr<const Face> face = known_face(*known);
  if (face != nullptr || all_.second() == nullptr) co_return face;
  const CacheKey key = face_key(*known);
  Task<std::optional<Bytes>> asking = all_.second()->get(key);
  const std::optional<Bytes> record = co_await std::move(asking);
  if (!record) co_return nullptr;
  const std::optional<CacheRecord> opened = open_record(*record, key);
  std::optional<Face> decoded;
  if (opened) decoded = decode_face(opened->answer);
  if (!decoded) {
    count_damaged();
    all_.second()->remove(key, key);
    co_return nullptr;
  }
  face = std::make_shared<const Face>(*std::move(decoded));
  learn(*known, face);
  co_return face;
}

Task<std::optional<InferResponse>> ModelCache::find(InferRequest request) {
  if (request.version.empty()) request.version = latest();
  const std::optional<CacheKey> known = scope(request.version);
  if (!known || request.cache != CacheWish::kUse) co_return std::nullopt;
  const CacheKey key = cache_key(*known, request);
  std::optional<InferResponse> response = peek(key, request, Clock::now());
  if (!response && all_.second() != nullptr) {
    Task<std::optional<InferResponse>> asking = fetch(*known, key);
    response = co_await std::move(asking);
    if (response) {
      put_in_order(request.outputs, response->outputs);
      response->id = std::move(request.id);
    }
  }
  if (response) count(Result::kHit);
  co_return response;
}

std::optional<InferResponse> ModelCache::find_local(const CacheKey& scope, const CacheKey& key,
                                                    const InferRequest& request, Time now) {
  const std::optional<ResponseCache::Answer> found = find_bytes(scope, key, now);
  return found ? answer_to(request, *found, now) : std::nullopt;
}

std::optional<InferResponse> ModelCache::peek(const CacheKey& key, const InferRequest& request,
                                              Time now) {
  const std::optional<ResponseCache::Answer> answer = all_.memory().peek(key, now);
  return answer ? answer_to(request, *answer, now) : std::nullopt;
}

Task<std::optional<InferResponse>> ModelCache::fetch(CacheKey scope, CacheKey key) {
  if (all_.second() == nullptr) co_return std::nullopt;
  Task<std::optional<ResponseCache::Answer>> asking = fetch_bytes(scope, key);
  const std::optional<ResponseCache::Answer> answer = co_await std::move(asking);
  if (!answer) co_return std::nullopt;
  InferRequest nobody;
  nobody.model = model_;
  co_return answer_to(nobody, *answer, Clock::now());
}

void ModelCache::store(const CacheKey& scope, const CacheKey& key, const InferResponse& response) {
  store_bytes(scope, key, encode_response(response, kRecordHeadBytes));
}

// A look at the memory, of which the second tier is told when it comes to more.
ResponseCache::Found ModelCache::use(const CacheKey& scope, const CacheKey& key, Time now) {
  ResponseCache::Found found = all_.memory().find(key, now);
  if (found.answer && all_.second() != nullptr && std::has_single_bit(found.uses))
    all_.second()->used(scope, key, std::max(1u, found.uses / 2));
  return found;
}

std::optional<ResponseCache::Answer> ModelCache::find_bytes(const CacheKey& scope,
                                                            const CacheKey& key, Time now) {
  ResponseCache::Found found = use(scope, key, now);
  if (found.expired) count(Result::kExpired);
  if (found.answer) count(Result::kHit);
  return std::move(found.answer);
}

std::optional<ResponseCache::Answer> ModelCache::look_local(const CacheKey& scope,
                                                            const CacheKey& key, Time now) {
  return use(scope, key, now).answer;
}

Task<std::optional<ResponseCache::Answer>> ModelCache::look(CacheKey scope, CacheKey key) {
  std::optional<ResponseCache::Answer> found = look_local(scope, key, Clock::now());
  if (found) co_return found;
  Task<std::optional<ResponseCache::Answer>> asking = fetch_bytes(scope, key);
  found = co_await std::move(asking);
  co_return found;
}

Task<std::optional<ResponseCache::Answer>> ModelCache::fetch_bytes(CacheKey scope, CacheKey key) {
  if (all_.second() == nullptr) co_return std::nullopt;
  Task<std::optional<Bytes>> asking = all_.second()->get(key);
  const std::optional<Bytes> record = co_await std::move(asking);
  if (!record) co_return std::nullopt;
  std::optional<ResponseCache::Answer> answer = take_record(scope, key, *record);
  if (answer) all_.second()->used(scope, key, 1);
  co_return answer;
}

// Keeps in memory what the second tier gave; what is damaged is removed there.
std::optional<ResponseCache::Answer> ModelCache::take_record(const CacheKey& scope,
                                                             const CacheKey& key,
                                                             const Bytes& record) {
  const std::optional<CacheRecord> opened = open_record(record, key);
  if (!opened) {
    count_damaged();
    all_.second()->remove(scope, key);
    return std::nullopt;
  }
  const Time now = Clock::now();
  const std::int64_t now_ms = epoch_ms();
  // Clocks of other machines may be ahead.
  const milliseconds age(std::max<std::int64_t>(now_ms - opened->stored_ms, 0));
  const Duration left =
      std::min<Duration>(milliseconds(opened->expires_ms - now_ms), options_.ttl - age);
  if (left <= Duration{}) return std::nullopt;
  const ResponseCache::Answer answer{opened->answer, now - age, now + left};
  all_.memory().put(key, answer, now);
  return answer;
}

void ModelCache::store_bytes(const CacheKey& scope, const CacheKey& key, Bytes block) {
  const Time now = Clock::now();
  const Bytes answer = block.slice(kRecordHeadBytes, block.size() - kRecordHeadBytes);
  all_.memory().put(key, {answer, now, now + options_.ttl}, now);
  if (all_.second() == nullptr) return;
  const auto ttl = std::chrono::duration_cast<milliseconds>(options_.ttl);
  const std::int64_t now_ms = epoch_ms();
  seal_record(block, key, now_ms, now_ms + ttl.count());
  all_.second()->put(scope, key, std::move(block), ttl);
  // The tier may forget, and may not have been there when the model came.
  if (std::has_single_bit(stored_.fetch_add(1, std::memory_order_relaxed) + 1)) share_face(scope);
}

void ModelCache::count(Result result) noexcept {
  counters_[static_cast<std::size_t>(result)]->Increment();
}

ResponseCaches::ResponseCaches(ResponseCacheOptions options, Executor& executor,
                               std::unique_ptr<SecondTier> second)
    : memory_(options), runs_(executor), second_(std::move(second)) {}

ResponseCaches::~ResponseCaches() = default;

ModelCache& ResponseCaches::add(const std::string& model, ModelCacheOptions options) {
  const std::unique_lock lock(mutex_);
  std::unique_ptr<ModelCache>& slot = models_[model];
  if (slot == nullptr) slot = std::make_unique<ModelCache>(*this, model, options);
  return *slot;
}

ModelCache* ResponseCaches::find(std::string_view model) const {
  const std::shared_lock lock(mutex_);
  const auto at = models_.find(model);
  return at != models_.end() ? at->second.get() : nullptr;
}

Task<void> ResponseCaches::join() {
  co_await runs_.join();
}

void ResponseCaches::publish() {
  static prometheus::Gauge& bytes =
      metrics::gauge("baozi_cache_bytes", "Memory of the response cache in use");
  static prometheus::Gauge& entries =
      metrics::gauge("baozi_cache_entries", "Answers in the response cache");
  static prometheus::Counter& evicted = metrics::counter(
      "baozi_cache_evicted_total", "Answers that made room for others that were wanted more");
  static prometheus::Counter& refused = metrics::counter(
      "baozi_cache_refused_total", "Answers that were not kept: too large, or wanted too seldom");
  const std::lock_guard lock(publish_mutex_);
  const ResponseCache::Counters now = memory_.counters();
  bytes.Set(static_cast<double>(now.bytes));
  entries.Set(static_cast<double>(now.entries));
  evicted.Increment(static_cast<double>(now.evicted - published_.evicted));
  refused.Increment(static_cast<double>(now.refused - published_.refused));
  published_ = now;
}

}  // namespace baozi::model
