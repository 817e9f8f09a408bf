// Warm-up records. The first byte says how: 0 a TFRecord file, other a TensorProto, which checksums
// keep a fuzzer from reaching by way of the file. What parses is formatted, and parses to the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "baozi/base/error.h"
#include "baozi/base/log.h"
#include "baozi/model/tensor_proto.h"
#include "baozi/model/warmup_records.h"

namespace {

using namespace baozi;

constexpr std::size_t kBytesMax = 1 << 20;

void check_same(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) std::abort();
  if (!std::ranges::equal(a.data().span(), b.data().span())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool silent = (set_log_level("off"), true);
  if (size == 0 || !silent) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  try {
    if (data[0] != 0) {
      const Tensor tensor = model::parse_tensor_proto(text, kBytesMax);
      check_same(tensor, model::parse_tensor_proto(model::format_tensor_proto(tensor), kBytesMax));
      return 0;
    }
    for (const model::WarmupSample& sample : model::parse_warmup_records(text, "fuzz")) {
      const std::string again = model::format_warmup_record(sample, "m");
      const auto samples = model::parse_warmup_records(again, "again");
      if (samples.size() != 1 || samples[0].inputs.size() != sample.inputs.size()) std::abort();
      for (std::size_t i = 0; i < sample.inputs.size(); ++i)
        check_same(sample.inputs[i].tensor, samples[0].inputs[i].tensor);
    }
  } catch (const Error&) {
  }
  return 0;
}
