#include "baozi/serve/prepared_config.h"

#include <cstdint>
#include <string>

#include "baozi/serve/user_cache.h"
#include "baozi/serve/yaml_reader.h"

namespace baozi::serve {

engine::PreparedOptions default_prepared() {
  engine::PreparedOptions options;
  options.folder = user_cache("prepared");
  return options;
}

engine::PreparedOptions read_prepared(YamlReader reader, const std::filesystem::path& base) {
  engine::PreparedOptions options = default_prepared();
  const std::string folder = reader.text("folder", "default");
  if (folder == "off") {
    options.folder.clear();
  } else if (folder != "default") {
    options.folder = base / folder;
  }
  options.bytes_max = static_cast<std::uint64_t>(reader.integer(
      "bytes_max", static_cast<std::int64_t>(options.bytes_max), 0, std::int64_t{1} << 50));
  reader.finish();
  return options;
}

}  // namespace baozi::serve
