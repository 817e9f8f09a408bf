#include "baozi/api/base64.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <limits>

#include "baozi/base/error.h"

namespace baozi::api {
namespace {

// OpenSSL counts in int.
constexpr std::size_t kSizeMax = std::numeric_limits<int>::max() / 2;

bool in_alphabet(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

[[noreturn]] void bad_base64(std::string_view what, std::string_view why) {
  throw Error(Code::kInvalidArgument, fmt::format("{} is not base64: {}", what, why));
}

}  // namespace

std::string decode_base64(std::string_view text, std::string_view what) {
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.size() > kSizeMax) bad_base64(what, "it is larger than 1 GiB");
  if (text.size() % 4 == 1) bad_base64(what, "a character is missing or too many");
  // OpenSSL's decoder skips blanks and takes '=' anywhere.
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!in_alphabet(text[i])) bad_base64(what, fmt::format("character {} is none of its", i));
  }
  const std::size_t whole = text.size() / 4 * 4;
  std::string bytes((text.size() + 3) / 4 * 3, '\0');
  auto* out = reinterpret_cast<unsigned char*>(bytes.data());
  EVP_DecodeBlock(out, reinterpret_cast<const unsigned char*>(text.data()),
                  static_cast<int>(whole));
  if (whole < text.size()) {
    std::string last(text.substr(whole));
    last.resize(4, '=');
    EVP_DecodeBlock(out + whole / 4 * 3, reinterpret_cast<const unsigned char*>(last.data()), 4);
  }
  bytes.resize(text.size() * 3 / 4);
  return bytes;
}

std::string encode_base64(std::string_view bytes) {
  if (bytes.size() > kSizeMax)
    throw Error(Code::kOutOfRange, "more than 1 GiB to encode as base64");
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL ends it with a null
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

}  // namespace baozi::api
