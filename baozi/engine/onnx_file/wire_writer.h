// Writing protobuf's wire encoding: messages put together from strings.
//
//   std::string text = number(1, 8) + message(7, message(2, "graph"));
//
// Thread safety: free functions.
// Encoding: protobuf.dev, "Encoding".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace baozi::engine::wire_writer {

inline std::string varint(std::uint64_t value) {
  std::string text;
  for (; value >= 0x80; value >>= 7) text.push_back(static_cast<char>(value | 0x80));
  text.push_back(static_cast<char>(value));
  return text;
}

inline std::string number(std::uint32_t field, std::uint64_t value) {
  return varint(std::uint64_t{field} << 3) + varint(value);
}

inline std::string message(std::uint32_t field, std::string_view body) {
  return varint(std::uint64_t{field} << 3 | 2) + varint(body.size()) + std::string(body);
}

}  // namespace baozi::engine::wire_writer
