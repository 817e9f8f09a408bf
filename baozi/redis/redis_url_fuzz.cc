// Text as a Redis URL: it is read, or refused with an Error.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "baozi/base/error.h"
#include "baozi/redis/redis_url.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const baozi::redis::Address address = baozi::redis::parse_url(text);
    if (address.host.empty() || address.port == 0 || address.database < 0) std::abort();
  } catch (const baozi::Error& error) {
    if (error.code() != baozi::Code::kInvalidArgument) std::abort();
  }
  return 0;
}
