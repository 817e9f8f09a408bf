// InferRequest and InferResponse: what every protocol is parsed to and formatted from. Values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "baozi/base/clock.h"
#include "baozi/base/tensor.h"

namespace baozi::model {

using Parameter = std::variant<bool, std::int64_t, double, std::string>;
using Parameters = std::map<std::string, Parameter>;

// What the caller says of the response cache (HTTP's Cache-Control).
enum class CacheWish : std::uint8_t {
  kUse,
  kRefresh,  // "no-cache": the answer is computed, and kept
  kNone,     // "no-store": it is neither looked for nor kept
};

struct InferRequest {
  std::string model;
  std::string version;               // "" asks for the servable's default version
  std::string id;                    // given back with the response
  Tensors inputs;                    // by name, in any order
  std::vector<std::string> outputs;  // the wanted ones in the wanted order; empty: all
  Parameters parameters;
  int priority = 0;  // higher goes first
  CacheWish cache = CacheWish::kUse;
  std::string tenant;  // answers are not shared between tenants; "" is one of them
};

struct InferResponse {
  std::string model;
  std::string version;
  std::string id;
  Tensors outputs;
  Parameters parameters;
  std::optional<Duration> age = std::nullopt;  // set: the response cache kept it for so long
};

}  // namespace baozi::model
