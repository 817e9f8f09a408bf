// A language model's finished answer as bytes, for the response cache.
//
// Format, little-endian: u32 kind; finish; the numbers of CompletionUsage; the text; for each token
// with chances: itself and the likeliest beside it.
//
// Thread safety: values and free functions.
#pragma once

#include <cstddef>
#include <optional>

#include "baozi/base/bytes.h"
#include "baozi/llm/completion.h"
#include "baozi/model/cache_key.h"

namespace baozi::llm {

struct CachedAnswer {
  CompletionPiece whole;  // all pieces as one, with `finish`
  CompletionUsage usage;
};

// `room`: bytes to leave free in front.
Bytes encode_answer(const CachedAnswer& answer, std::size_t room);
// Nothing when the bytes are anything else than what encode_answer wrote, without the room.
std::optional<CachedAnswer> decode_answer(const Bytes& block);

// What two requests have in common that get the same answer; `scope` stands for the model. Not part
// of it: the client, the priority.
model::CacheKey answer_key(const model::CacheKey& scope, const CompletionRequest& request);

}  // namespace baozi::llm
