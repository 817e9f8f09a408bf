// A replica's answer to GET /v2/warmth, read back into a Warmth: what format_warmth writes.
//
//   Warmth warmth = parse_warmth(reply.body);
//
// Thread safety: a free function without state.
#pragma once

#include <cstddef>
#include <string_view>

#include "baozi/fleet/warmth.h"

namespace baozi::fleet {

inline constexpr std::size_t kWarmthBytesMax = 4096;

// Fields that are not known are ignored, for replicas of later versions; a missing one, one of
// another type or out of its range, and a state that is not known are errors: Error
// (kInvalidArgument), which says which. `text` may be anything, of any length.
Warmth parse_warmth(std::string_view text);

}  // namespace baozi::fleet
