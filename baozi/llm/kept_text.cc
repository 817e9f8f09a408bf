#include "baozi/llm/kept_text.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "baozi/base/error.h"
#include "baozi/base/wire.h"
#include "baozi/model/hasher.h"

namespace baozi::llm {
namespace {

using model::CacheKey;
using Kind = WireField::Kind;

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

enum : std::uint32_t { kAnswer = 1, kEcho = 2, kReply = 3, kPiece = 4 };
enum : std::uint32_t { kOf = 1, kContent = 2, kReasoning = 3, kCall = 4 };
enum : std::uint32_t { kId = 1, kName = 2, kArguments = 3 };
enum : std::uint32_t { kToken = 1, kBytes = 2 };

constexpr std::size_t kKeyBytes = 16;

void append_key(std::string& out, std::uint32_t number, const CacheKey& key) {
  char bytes[kKeyBytes];
  std::memcpy(bytes, &key.high, 8);
  std::memcpy(bytes + 8, &key.low, 8);
  append_field(out, number, std::string_view(bytes, kKeyBytes));
}

void append_reply(std::string& out, const KeptReply& kept) {
  std::string message;
  append_key(message, kOf, kept.of);
  append_field(message, kContent, kept.reply.content);
  append_field(message, kReasoning, kept.reply.reasoning);
  for (const engine::ToolCall& each : kept.reply.tool_calls) {
    std::string call;
    append_field(call, kId, each.id);
    append_field(call, kName, each.name);
    append_field(call, kArguments, each.arguments);
    append_field(message, kCall, call);
  }
  append_field(out, kReply, message);
}

[[noreturn]] void refuse() { throw Error(Code::kInvalidArgument, "no kept text"); }

std::string_view bytes_of(const WireField& field) {
  if (field.kind != Kind::kBytes) refuse();
  return field.bytes;
}

CacheKey read_key(const WireField& field) {
  const std::string_view bytes = bytes_of(field);
  if (bytes.size() != kKeyBytes) refuse();
  CacheKey key;
  std::memcpy(&key.high, bytes.data(), 8);
  std::memcpy(&key.low, bytes.data() + 8, 8);
  return key;
}

engine::ToolCall read_call(std::string_view message) {
  engine::ToolCall call;
  WireReader fields(message);
  for (WireField field; fields.next(field);) {
    switch (field.number) {
      case kId:
        call.id = bytes_of(field);
        break;
      case kName:
        call.name = bytes_of(field);
        break;
      case kArguments:
        call.arguments = bytes_of(field);
        break;
      default:
        refuse();
    }
  }
  return call;
}

KeptReply read_reply(std::string_view message) {
  KeptReply kept;
  WireReader fields(message);
  for (WireField field; fields.next(field);) {
    switch (field.number) {
      case kOf:
        kept.of = read_key(field);
        break;
      case kContent:
        kept.reply.content = bytes_of(field);
        break;
      case kReasoning:
        kept.reply.reasoning = bytes_of(field);
        break;
      case kCall:
        kept.reply.tool_calls.push_back(read_call(bytes_of(field)));
        break;
      default:
        refuse();
    }
  }
  return kept;
}

std::pair<engine::Token, std::string> read_piece(std::string_view message) {
  std::pair<engine::Token, std::string> piece;
  WireReader fields(message);
  for (WireField field; fields.next(field);) {
    if (field.number == kToken && field.kind == Kind::kVarint &&
        field.value <= static_cast<std::uint64_t>(std::numeric_limits<engine::Token>::max())) {
      piece.first = static_cast<engine::Token>(field.value);
    } else if (field.number == kBytes) {
      piece.second = bytes_of(field);
    } else {
      refuse();
    }
  }
  return piece;
}

KeptText read(std::string_view message) {
  KeptText kept;
  WireReader fields(message);
  for (WireField field; fields.next(field);) {
    switch (field.number) {
      case kAnswer:
        kept.answers.push_back(read_key(field));
        break;
      case kEcho:
        kept.echoes.emplace_back(bytes_of(field));
        break;
      case kReply:
        kept.replies.push_back(read_reply(bytes_of(field)));
        break;
      case kPiece:
        kept.pieces.insert(read_piece(bytes_of(field)));
        break;
      default:
        refuse();
    }
  }
  if (kept.answers.empty()) refuse();
  return kept;
}

}  // namespace

CacheKey answer_digest(std::string_view text) {
  model::Hasher hasher;
  hasher.add(text);
  return hasher.digest();
}

bool says_all_of(const KeptText& kept, const CompletionPiece& answer) {
  if (!kept.replies.empty() && find_reply(kept, answer.text) == nullptr) return false;
  const auto known = [&kept](const engine::TokenChance& chance) {
    return kept.pieces.contains(chance.token);
  };
  return std::ranges::all_of(answer.chances, [&](const TokenChances& each) {
    return known(each.picked) && std::ranges::all_of(each.likeliest, known);
  });
}

const engine::ChatReply* find_reply(const KeptText& kept, std::string_view text) {
  const auto at = std::ranges::find(kept.replies, answer_digest(text), &KeptReply::of);
  return at == kept.replies.end() ? nullptr : &at->reply;
}

Bytes encode_kept_text(const KeptText& kept, std::size_t room) {
  std::string out(room, '\0');
  for (const CacheKey& key : kept.answers) append_key(out, kAnswer, key);
  for (const std::string& echo : kept.echoes) append_field(out, kEcho, echo);
  for (const KeptReply& reply : kept.replies) append_reply(out, reply);
  for (const auto& [token, bytes] : kept.pieces) {
    std::string message;
    append_field(message, kToken, static_cast<std::uint64_t>(token));
    append_field(message, kBytes, bytes);
    append_field(out, kPiece, message);
  }
  return Bytes::copy_of(out);
}

std::optional<KeptText> decode_kept_text(const Bytes& block) {
  try {
    return read(block.text());
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace baozi::llm
