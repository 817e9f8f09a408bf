// Warm-up samples in JSON: any bytes are refused with an Error, or are samples whose tensors hold
// what their shapes say.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "baozi/api/kserve_samples.h"
#include "baozi/base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baozi;
  try {
    const auto samples = api::parse_kserve_samples(
        std::string(reinterpret_cast<const char*>(data), size), "fuzz.json");
    for (const model::WarmupSample& sample : samples) {
      for (const Tensors* tensors : {&sample.inputs, &sample.expected}) {
        for (const NamedTensor& each : *tensors) {
          const std::size_t width = dtype_size(each.tensor.dtype());
          const auto elements = static_cast<std::size_t>(each.tensor.elements());
          if (width > 0 && each.tensor.data().size() != width * elements) std::abort();
        }
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
