// The response cache's part of the config file: `cache` at its top, and of each model and pipeline.
//
//   cache: {bytes_max: 268435456, redis: "redis://127.0.0.1:6379/0"}
//   models:
//     - {path: resnet.onnx, cache: true}
//     - {path: prices.onnx, cache: {ttl_s: 30}}
//
// Thread safety: values and free functions.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace baozi::serve {

class YamlReader;

struct CacheConfig {
  std::size_t bytes_max = std::size_t{256} << 20;  // in this process
  std::string redis;                               // its URL; empty: none
  std::chrono::milliseconds redis_timeout{3};      // what a request waits for it at most
  int redis_pull_max = 1000;                       // entries of a model fetched at start
  std::size_t redis_pull_bytes_max = std::size_t{64} << 20;
};

struct ModelCacheConfig {
  bool on = false;
  std::chrono::seconds ttl{600};
};

// The mapping under "cache" at the top. Errors: as YamlReader's.
CacheConfig read_cache(YamlReader reader);
// The key "cache" of a model or pipeline: true, false or a mapping. Errors: as YamlReader's.
ModelCacheConfig read_model_cache(YamlReader& owner);

}  // namespace baozi::serve
