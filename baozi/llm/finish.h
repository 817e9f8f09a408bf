// Finish: why an answer ended.
#pragma once

#include <cstdint>

namespace baozi::llm {

enum class Finish : std::uint8_t {
  kEnd,     // the model ended it
  kStop,    // a stop string
  kLength,  // max_tokens, or the context is full
};

}  // namespace baozi::llm
