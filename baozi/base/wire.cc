#include "baozi/base/wire.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "baozi/base/error.h"

namespace baozi {
namespace {

static_assert(std::endian::native == std::endian::little);

// Wire types of protobuf.
enum : std::uint32_t { kVarint = 0, kFixed64 = 1, kDelimited = 2, kFixed32 = 5 };

[[noreturn]] void damaged(std::size_t at) {
  throw Error(Code::kInvalidArgument, fmt::format("a message is damaged at byte {}", at));
}

}  // namespace

std::uint64_t WireReader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (done()) damaged(at_);
    const auto byte = static_cast<unsigned char>(message_[at_++]);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  damaged(at_);
}

std::string_view WireReader::take(std::uint64_t size) {
  if (size > message_.size() - at_) damaged(at_);
  const std::string_view part = message_.substr(at_, static_cast<std::size_t>(size));
  at_ += part.size();
  return part;
}

bool WireReader::next(WireField& field) {
  if (done()) return false;
  const std::uint64_t key = varint();
  field = WireField{};
  field.number = static_cast<std::uint32_t>(key >> 3);
  if (field.number == 0 || key >> 32 != 0) damaged(at_);
  switch (key & 7) {
    case kVarint:
      field.value = varint();
      return true;
    case kFixed64:
      field.kind = WireField::Kind::kFixed64;
      std::memcpy(&field.value, take(8).data(), 8);
      return true;
    case kFixed32:
      field.kind = WireField::Kind::kFixed32;
      std::memcpy(&field.value, take(4).data(), 4);
      return true;
    case kDelimited:
      field.kind = WireField::Kind::kBytes;
      field.bytes = take(varint());
      return true;
    default:
      damaged(at_);
  }
}

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>((value & 0x7f) | 0x80));
  out.push_back(static_cast<char>(value));
}

void append_field(std::string& out, std::uint32_t number, std::uint64_t varint) {
  append_varint(out, std::uint64_t{number} << 3 | kVarint);
  append_varint(out, varint);
}

void append_field(std::string& out, std::uint32_t number, std::string_view bytes) {
  append_varint(out, std::uint64_t{number} << 3 | kDelimited);
  append_varint(out, bytes.size());
  out += bytes;
}

}  // namespace baozi
