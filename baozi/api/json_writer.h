// JSON text written by hand into one string: numbers in their shortest form that reads back the
// same, strings escaped. Punctuation is the caller's. Several times faster than a document model,
// and nothing is copied twice.
//
// Thread safety: free functions on the caller's string.
//
//   std::string out = R"({"name":)";
//   append_json_string(out, name);
//   out += R"(,"size":)";
//   append_json_number(out, size);
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "baozi/base/tensor.h"

namespace baozi::api {

// The longest number to_chars writes: a double in scientific form has 24 characters, an int64 20.
inline constexpr std::size_t kNumberCharsMax = 32;

// `text` in quotes. Precondition: valid UTF-8 (see is_utf8).
void append_json_string(std::string& out, std::string_view text);
// The same, for text of unknown origin such as error messages: each byte that is not UTF-8 becomes
// U+FFFD.
void append_json_text(std::string& out, std::string_view text);

bool is_utf8(std::string_view text) noexcept;

template <class T>
  requires std::integral<T> || std::floating_point<T>
void append_json_number(std::string& out, T value) {
  char digits[kNumberCharsMax];
  const std::to_chars_result end = std::to_chars(digits, digits + sizeof digits, value);
  out.append(digits, end.ptr);
}

// The bytes of `text` as numbers: [72,105]
void append_json_bytes(std::string& out, std::string_view text);

// [2,3]
void append_json_shape(std::string& out, const Shape& shape);

}  // namespace baozi::api
