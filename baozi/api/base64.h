// Base64 (RFC 4648, section 4) by OpenSSL.
//
// Thread safety: free functions.
#pragma once

#include <string>
#include <string_view>

namespace baozi::api {

// Padding may be left out. Errors: kInvalidArgument that names `what`.
std::string decode_base64(std::string_view text, std::string_view what);
std::string encode_base64(std::string_view bytes);

}  // namespace baozi::api
