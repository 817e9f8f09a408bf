// Bytes as the small files of a store: what is read is written again as the same text, or nothing
// is read.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "baozi/engine/prepared_record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace baozi::engine;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // The checksum keeps all but a few inputs out, so the lines are tried with a right one, too.
  for (const std::string& whole : {std::string(text), seal({{"text", std::string(text)}})}) {
    const std::optional<RecordLines> lines = unseal(whole);
    if (lines && seal(*lines) != whole) std::abort();
  }
  RecordLines lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    const std::size_t space = std::min(line.find(' '), line.size());
    lines.push_back({std::string(line.substr(0, space)),
                     std::string(line.substr(std::min(space + 1, line.size())))});
    begin = end + 1;
  }
  const std::string sealed = seal(lines);
  if (const auto manifest = parse_manifest(sealed)) {
    for (const FileEntry& file : manifest->files) {
      if (file.name.find('/') != std::string::npos) std::abort();
    }
    if (!parse_manifest(format_manifest(*manifest))) std::abort();
  }
  if (const auto source = parse_source(sealed)) {
    if (!parse_source(format_source(*source))) std::abort();
  }
  return 0;
}
