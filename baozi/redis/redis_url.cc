#include "baozi/redis/redis_url.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "baozi/base/error.h"

namespace baozi::redis {
namespace {

constexpr std::string_view kShape = "expected redis://[user:password@]host[:port][/database]";
constexpr int kDatabaseMax = 1 << 20;

[[noreturn]] void fail(std::string_view why) {
  throw Error(Code::kInvalidArgument, fmt::format("the Redis URL {}; {}", why, kShape));
}

template <class T>
std::optional<T> number(std::string_view text, T most) {
  T value{};
  const std::from_chars_result read =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || value > most)
    return std::nullopt;
  return value;
}

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) fail("has a '%' that two hexadecimal digits do not follow");
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

void read_credentials(std::string_view text, Address& address) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) fail("has a user but no password");
  address.user = decoded(text.substr(0, colon));
  address.password = decoded(text.substr(colon + 1));
}

// host, host:port, [address] or [address]:port.
void read_place(std::string_view text, Address& address) {
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) fail("has a '[' without ']'");
    address.host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') fail("goes on strangely behind ']'");
    has_port = !rest.empty();
    if (has_port) port = rest.substr(1);
  } else {
    const std::size_t colon = text.find(':');
    has_port = colon != std::string_view::npos;
    address.host = text.substr(0, colon);
    if (has_port) port = text.substr(colon + 1);
  }
  if (address.host.empty()) fail("names no host");
  if (address.host.find_first_of(std::string_view(" \t\r\n\0", 5)) != std::string::npos)
    fail("has a host with white space");
  if (!has_port) return;
  const std::optional<unsigned> value = number<unsigned>(port, 65'535);
  if (!value || *value == 0) fail("has a port that is no number from 1 to 65535");
  address.port = static_cast<std::uint16_t>(*value);
}

}  // namespace

Address parse_url(std::string_view url) {
  constexpr std::string_view kScheme = "redis://";
  if (url.starts_with("rediss://"))
    fail("asks for TLS, which is not spoken to Redis; put a TLS proxy (stunnel) beside baozi");
  if (!url.starts_with(kScheme)) fail("does not begin with redis://");
  std::string_view rest = url.substr(kScheme.size());
  Address address;
  if (const std::size_t slash = rest.rfind('/'); slash != std::string_view::npos) {
    const std::string_view database = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
    if (!database.empty()) {
      const std::optional<int> value = number<int>(database, kDatabaseMax);
      if (!value || *value < 0) fail("has a database that is no number");
      address.database = *value;
    }
  }
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    read_credentials(rest.substr(0, at), address);
    rest = rest.substr(at + 1);
  }
  read_place(rest, address);
  return address;
}

std::string to_string(const Address& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}/{}", v6 ? "[" : "", address.host, v6 ? "]" : "", address.port,
                     address.database);
}

}  // namespace baozi::redis
