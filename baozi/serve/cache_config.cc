#include "baozi/serve/cache_config.h"

#include <utility>

#include "baozi/base/error.h"
#include "baozi/redis/redis_url.h"
#include "baozi/serve/yaml_reader.h"

namespace baozi::serve {
namespace {

constexpr std::int64_t kBytesMax = std::int64_t{1} << 50;
constexpr std::int64_t kYearSeconds = 366 * 86'400;

}  // namespace

CacheConfig read_cache(YamlReader reader) {
  CacheConfig cache;
  const auto bytes = [&](const char* key, std::size_t otherwise) {
    return static_cast<std::size_t>(
        reader.integer(key, static_cast<std::int64_t>(otherwise), 0, kBytesMax));
  };
  cache.bytes_max = bytes("bytes_max", cache.bytes_max);
  cache.redis = reader.text("redis", "");
  if (!cache.redis.empty()) {
    try {
      (void)redis::parse_url(cache.redis);
    } catch (const Error& error) {
      reader.fail(error.message(), "redis");
    }
  }
  cache.redis_timeout = std::chrono::milliseconds(
      reader.integer("redis_timeout_ms", cache.redis_timeout.count(), 1, 1000));
  cache.redis_pull_max =
      static_cast<int>(reader.integer("redis_pull_max", cache.redis_pull_max, 0, 1'000'000));
  cache.redis_pull_bytes_max = bytes("redis_pull_bytes_max", cache.redis_pull_bytes_max);
  reader.finish();
  return cache;
}

ModelCacheConfig read_model_cache(YamlReader& owner) {
  ModelCacheConfig cache;
  if (!owner.has_mapping("cache")) {
    if (owner.has("cache")) cache.on = owner.boolean("cache", false);
    return cache;
  }
  YamlReader reader = owner.child("cache");
  cache.on = true;
  cache.ttl = std::chrono::seconds(reader.integer("ttl_s", cache.ttl.count(), 1, kYearSeconds));
  reader.finish();
  return cache;
}

}  // namespace baozi::serve
