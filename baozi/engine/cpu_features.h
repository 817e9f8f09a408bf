// What of the processor decides how weights are laid out for it.
//
// Thread safety: a free function.
#pragma once

#include <string>

namespace baozi::engine {

// Maker, family, model and features, without spaces at its ends; equal for processors that run the
// same kernels. Takes a few microseconds.
std::string cpu_features();

}  // namespace baozi::engine
