#include "baozi/llm/utf8_stream.h"

#include <utility>

namespace baozi::llm {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// A character at the front of the bytes: its length, whether it is valid, and whether what is
// missing could make it so. The table of The Unicode Standard, 3.9, "Well-Formed UTF-8 Byte
// Sequences"; an invalid one is as long as its valid beginning ("maximal subpart").
struct Character {
  std::size_t length = 1;
  bool valid = false;
  bool unfinished = false;
};

Character first_character(std::string_view bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, true, false};
  std::size_t length = 0;
  unsigned char least = 0x80;
  unsigned char most = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) least = 0xa0;
    if (lead == 0xed) most = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) least = 0x90;
    if (lead == 0xf4) most = 0x8f;
  } else {
    return {};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {i, false, true};
    if (byte(i) < least || byte(i) > most) return {i, false, false};
    least = 0x80;
    most = 0xbf;
  }
  return {length, true, false};
}

}  // namespace

std::string Utf8Stream::add(std::string_view bytes) {
  pending_ += bytes;
  std::string text;
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const Character character = first_character(rest);
    if (character.unfinished) break;
    text += character.valid ? rest.substr(0, character.length) : kReplacement;
    rest.remove_prefix(character.length);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return text;
}

std::string Utf8Stream::finish() {
  return std::exchange(pending_, {}).empty() ? std::string() : std::string(kReplacement);
}

}  // namespace baozi::llm
