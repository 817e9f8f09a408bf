// Face: what a servable shows of itself, so that requests for it can be read, and kept answers
// written, while it is not there: its signature and class names.
//
//   Bytes block = encode_face(face_of(servable), kRecordHeadBytes);
//   std::optional<Face> again = decode_face(block);
//
// Format: that of a response (cached_response.h) whose outputs are tensors INT64 of an input's or
// output's type and sizes, named "<NAME" and ">NAME", and "labels", BYTES, once.
//
// Thread safety: values and free functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "baozi/base/bytes.h"
#include "baozi/engine/signature.h"
#include "baozi/model/servable.h"

namespace baozi::model {

struct Face {
  engine::Signature signature;
  std::vector<std::string> labels;
};

inline Face face_of(const Servable& servable) { return {servable.signature(), servable.labels()}; }

// Whether it makes a vector of each text: one input of strings [n], one output FP32 [n,d].
bool makes_vectors(const engine::Signature& signature) noexcept;

// `room`: bytes to leave free in front, a multiple of 64.
Bytes encode_face(const Face& face, std::size_t room);

// What encode_face wrote, without the room. Nothing when it is anything else.
std::optional<Face> decode_face(const Bytes& block);

}  // namespace baozi::model
