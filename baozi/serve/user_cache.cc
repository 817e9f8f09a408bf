#include "baozi/serve/user_cache.h"

#include <cstdlib>

namespace baozi::serve {

std::filesystem::path user_cache(std::string_view name) {
  namespace fs = std::filesystem;
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/')
    return fs::path(cache) / "baozi" / name;
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
    return fs::path(home) / ".cache" / "baozi" / name;
  return {};
}

}  // namespace baozi::serve
