// Recorded traffic: what parses rises from 0 within its limits, and is answered for any time; what
// does not says where.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "baozi/base/error.h"
#include "tools/simulate/traffic.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baozi;
  try {
    const simulate::Traffic traffic =
        simulate::parse_traffic({reinterpret_cast<const char*>(data), size}, "f");
    if (!(traffic.seconds() > 0 && traffic.seconds() <= simulate::kTrafficSecondsMax)) std::abort();
    for (double when = -1; when <= traffic.seconds() + 1; when += traffic.seconds() / 7) {
      const double value = traffic.at(when);
      if (!(value >= 0 && value <= traffic.most() * (1 + 1e-9))) std::abort();
    }
  } catch (const Error& error) {
    if (!error.message().starts_with("f:")) std::abort();
  }
  return 0;
}
