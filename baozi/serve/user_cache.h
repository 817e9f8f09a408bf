// Where baozi keeps what it can make again.
//
// Thread safety: a free function; it reads the environment.
#pragma once

#include <filesystem>
#include <string_view>

namespace baozi::serve {

// baozi/NAME in the user's cache folder ($XDG_CACHE_HOME, else ~/.cache); empty without either.
std::filesystem::path user_cache(std::string_view name);

}  // namespace baozi::serve
