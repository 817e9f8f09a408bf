// `baozi prepare --list` and `--prune`: what there is in a store of prepared artefacts.
#pragma once

#include <filesystem>
#include <vector>

#include "baozi/engine/engine.h"

namespace baozi::apps {

// A line each, the one used last first, and the sum.
int list_prepared(const engine::PreparedOptions& options);

// Removes what is of no use any more: of model files that are gone or have another content now,
// what is damaged, left over, or above bytes_max; with `all` everything. And what killed processes
// left in `folders` (base/replace_file.h).
int prune_prepared(const engine::PreparedOptions& options, bool all,
                   const std::vector<std::filesystem::path>& folders);

}  // namespace baozi::apps
