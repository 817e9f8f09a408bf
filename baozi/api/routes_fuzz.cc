// Paths: the first byte is the method.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "baozi/api/routes.h"
#include "baozi/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const auto method = static_cast<baozi::net::HttpMethod>(data[0] % 7);
  const std::string_view path(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string decoded;
  try {
    const baozi::api::Route route = baozi::api::find_route(method, path, decoded);
    if (route.model.size() > path.size() || route.version.size() > path.size()) __builtin_trap();
  } catch (const baozi::Error&) {
  }
  return 0;
}
