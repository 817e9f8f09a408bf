// The config's key `prepared`: where what is prepared of models is kept, and how much of it.
//
//   prepared: {folder: /var/cache/baozi, bytes_max: 20000000000}
//
// Thread safety: free functions.
#pragma once

#include <filesystem>

#include "baozi/engine/engine.h"

namespace baozi::serve {

class YamlReader;

// baozi/prepared in the user's cache folder; its folder is empty without one.
engine::PreparedOptions default_prepared();

// `base`: where relative paths start.
engine::PreparedOptions read_prepared(YamlReader reader, const std::filesystem::path& base);

}  // namespace baozi::serve
