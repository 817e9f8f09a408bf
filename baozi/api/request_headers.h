// What the protocols read from a request's header fields alike.
//
// Thread safety: free functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "baozi/base/clock.h"
#include "baozi/net/http.h"

namespace baozi::api {

// A header of ours: how long the answer may take.
inline constexpr std::string_view kTimeoutHeader = "x-request-timeout-ms";

// The header's number; nothing when there is no such header. Errors: kInvalidArgument.
std::optional<std::uint64_t> number_header(const net::HttpRequest& request, std::string_view name);
// kTimeoutHeader's; zero: none. Errors: kInvalidArgument.
Duration timeout_header(const net::HttpRequest& request);
// Errors: kInvalidArgument when the body is compressed.
void check_encoding(const net::HttpRequest& request);

}  // namespace baozi::api
