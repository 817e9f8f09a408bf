// KeptText: what is kept of a request for text beside its answers (cached_answer.h), so that they
// can be found and written again without the model: where they are kept, and what only the model
// can say of them.
//
//   Bytes block = encode_kept_text({.answers = {key}}, model::kRecordHeadBytes);
//   std::optional<KeptText> again = decode_kept_text(block);
//
// Format: protobuf's wire encoding (base/wire.h). Fields: 1, for each answer, its key, 16 bytes
// little-endian; 2, for each echo, its text; 3, for each reply, a message of 1 the digest of its
// answer, 2 content, 3 reasoning, and 4, for each tool call, a message of 1 id, 2 name,
// 3 arguments; 4, for each piece, a message of 1 the token and 2 its bytes.
//
// Thread safety: values and free functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "baozi/base/bytes.h"
#include "baozi/engine/chat_format.h"
#include "baozi/llm/completion.h"
#include "baozi/model/cache_key.h"

namespace baozi::llm {

// What an answer says, as its model's format has it.
struct KeptReply {
  model::CacheKey of;  // answer_digest of the answer
  engine::ChatReply reply;
};

struct KeptText {
  std::vector<model::CacheKey> answers = {};  // answer_key of each, by prompt, then by choice
  std::vector<std::string> echoes = {};       // of each prompt, where it goes before the answers
  std::vector<KeptReply> replies = {};        // empty: an answer is its text
  // Of tokens that log-probabilities name.
  std::unordered_map<engine::Token, std::string> pieces = {};
};

model::CacheKey answer_digest(std::string_view text);

// Whether the answer can be written with what is kept.
bool says_all_of(const KeptText& kept, const CompletionPiece& answer);
// The reply of the answer of this text. Null: it is not kept.
const engine::ChatReply* find_reply(const KeptText& kept, std::string_view text);

// `room`: bytes to leave free in front.
Bytes encode_kept_text(const KeptText& kept, std::size_t room);
// Nothing when the bytes are no whole record, or one without answers.
std::optional<KeptText> decode_kept_text(const Bytes& block);

}  // namespace baozi::llm
