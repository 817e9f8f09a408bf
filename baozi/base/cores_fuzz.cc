// What the kernel says of CPU quotas: whatever it is, a quota is a number above 0 or nothing.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "baozi/base/cores.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::optional<double> quota = baozi::parse_cpu_max(text);
  if (quota && !(*quota > 0 && std::isfinite(*quota))) std::abort();
  if (baozi::cpu_quota("/nowhere", text)) std::abort();
  return 0;
}
