#include "baozi/serve/written_folders.h"

#include <set>

#include "baozi/serve/start_record.h"
#include "baozi/serve/user_cache.h"

namespace baozi::serve {

std::vector<std::filesystem::path> written_folders(const Config& config) {
  std::set<std::filesystem::path> folders{user_cache("warmup"), default_prefixes(),
                                          default_start_record("any").parent_path(),
                                          config.start_record.parent_path()};
  for (const ModelConfig& model : config.models) folders.insert(model.language.prefixes);
  folders.erase(std::filesystem::path());
  return {folders.begin(), folders.end()};
}

}  // namespace baozi::serve
