// An InferResponse as bytes, for the response cache: one block, from which the tensors of a hit are
// sliced without a copy. The block owns what it holds: it keeps no batch's memory and no engine's.
//
//   Bytes block = encode_response(response, 0);
//   std::optional<InferResponse> again = decode_response(block);
//
// Format, little-endian: u32 kind, u32 size of the table, the table (version; parameters; for each
// output its name, type, shape, and the place of its bytes), then the bytes, each 64-byte aligned.
// Model and id are not kept: they are the asker's.
//
// Thread safety: free functions.
#pragma once

#include <cstddef>
#include <optional>

#include "baozi/base/bytes.h"
#include "baozi/model/request.h"

namespace baozi::model {

// `room`: bytes to leave free in front, a multiple of 64.
Bytes encode_response(const InferResponse& response, std::size_t room);

// What encode_response wrote, without the room. Nothing when it is anything else: whatever the
// bytes are, no more happens. The tensors share the block's memory.
std::optional<InferResponse> decode_response(const Bytes& block);

}  // namespace baozi::model
