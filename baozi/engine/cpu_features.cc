#include "baozi/engine/cpu_features.h"

#include <fmt/format.h>
#if defined(__x86_64__)
#include <cpuid.h>
#else
#include <sys/auxv.h>
#endif

#include <cstdint>

namespace baozi::engine {
#if defined(__x86_64__)
namespace {

struct Registers {
  unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(unsigned leaf, unsigned sub) {
  Registers r;
  __get_cpuid_count(leaf, sub, &r.a, &r.b, &r.c, &r.d);
  return r;
}

// What the system lets programs use: a processor may have wide registers that it does not save.
std::uint64_t enabled_states(const Registers& basic) {
  constexpr unsigned kOsXsave = 1u << 27;
  if ((basic.c & kOsXsave) == 0) return 0;
  unsigned low = 0;
  unsigned high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

}  // namespace

// Intel's manual, volume 2, CPUID: leaf 0 the maker, 1 and 7 the features. Leaf 1 also holds the
// stepping (bits 0 to 3 of eax) and facts of the core that runs this (ebx), which are left out.
std::string cpu_features() {
  const Registers maker = cpuid(0, 0);
  const Registers basic = cpuid(1, 0);
  const Registers extended = cpuid(7, 0);
  const Registers further = cpuid(7, 1);
  constexpr unsigned kStepping = 0xf;
  constexpr unsigned kOfThisCore = 1u << 27;  // set by the system, the same in enabled_states()
  return fmt::format("x86_64 {:08x}{:08x}{:08x} {:x} {:x} {:x} {:x} {:x} {:x} {:x} {:x} {:x}",
                     maker.b, maker.d, maker.c, basic.a & ~kStepping, basic.c & ~kOfThisCore,
                     basic.d, extended.b, extended.c, extended.d, further.a, further.d,
                     enabled_states(basic));
}
#else
std::string cpu_features() {
#if defined(__aarch64__)
  constexpr const char* kMachine = "aarch64";
#else
  constexpr const char* kMachine = "other";
#endif
  return fmt::format("{} {:x} {:x}", kMachine, ::getauxval(AT_HWCAP), ::getauxval(AT_HWCAP2));
}
#endif

}  // namespace baozi::engine
