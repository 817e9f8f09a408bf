// Time: the steady clock everything uses, and the names for its points and spans.
#pragma once

#include <chrono>

namespace baozi {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Duration = Clock::duration;

// "No deadline".
inline constexpr Time kNever = Time::max();

}  // namespace baozi
