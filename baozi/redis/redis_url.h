// Where a Redis is: redis://[[user]:password@]host[:port][/database], as IANA registered it.
//
// Thread safety: values and free functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace baozi::redis {

struct Address {
  std::string host = {};  // a name or an address; IPv6 without its brackets
  std::uint16_t port = 6379;
  std::string user = {};  // empty: the default one
  std::string password = {};
  int database = 0;
};

// User and password may be percent-encoded. Errors: kInvalidArgument that says what is wrong, and
// never repeats a password.
Address parse_url(std::string_view url);

// "127.0.0.1:6379/0", for messages: without user and password.
std::string to_string(const Address& address);

}  // namespace baozi::redis
