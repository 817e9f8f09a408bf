// The folders in which servers keep small files that are replaced whole (base/replace_file.h): what
// was used, recorded requests, prefixes of language models.
//
// Thread safety: a free function; it reads the environment.
#pragma once

#include <filesystem>
#include <vector>

#include "baozi/serve/config.h"

namespace baozi::serve {

// Those of this config, and the user's own, which others use; each once.
std::vector<std::filesystem::path> written_folders(const Config& config);

}  // namespace baozi::serve
