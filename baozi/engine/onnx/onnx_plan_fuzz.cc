// Bytes as the plan beside a prepared model: what is read is written again as a plan that reads the
// same, or nothing is read.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "baozi/engine/onnx/onnx_plan.h"
#include "baozi/engine/prepared_record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baozi::engine;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  parse_plan(text);
  // The checksum keeps all but a few inputs out, so the lines are tried with a right one, too.
  RecordLines lines{{"baozi-plan", "1"}};
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    const std::size_t space = std::min(line.find(' '), line.size());
    lines.push_back({std::string(line.substr(0, space)),
                     std::string(line.substr(std::min(space + 1, line.size())))});
    begin = end + 1;
  }
  if (const auto plan = parse_plan(seal(lines))) {
    if (plan->parts < 1 || plan->parts > kLayersMax) std::abort();
    const std::string again = format_plan(*plan);
    const auto same = parse_plan(again);
    if (!same || format_plan(*same) != again) std::abort();
  }
  return 0;
}
