#include "baozi/fleet/replica_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "baozi/base/error.h"

namespace baozi::fleet {
namespace {

constexpr std::size_t kNameMax = 253;  // of a DNS name (RFC 1035)
constexpr std::size_t kLabelMax = 63;
constexpr std::size_t kQuotedMax = 80;

// What was given, in a form that cannot garble a terminal or a log.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text.substr(0, kQuotedMax)) out += c >= ' ' && c <= '~' ? c : '?';
  return out + (text.size() > kQuotedMax ? "…'" : "'");
}

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw Error(Code::kInvalidArgument,
              fmt::format("replica {}: {}. Give HOST:PORT or HOST:PORT,agent=PORT, such as "
                          "10.0.0.7:8000,agent=8100 or [::1]:8000",
                          quoted(text), why));
}

std::uint16_t parse_port(std::string_view digits, std::string_view text, std::string_view what) {
  std::uint16_t port = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, port);
  if (error != std::errc() || stop != end || port == 0)
    refuse(text, fmt::format("{} is not a number from 1 to 65535", what));
  return port;
}

bool is_ipv6(const std::string& host) {
  in6_addr address;
  return ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= kLabelMax && label.front() != '-' &&
         label.back() != '-' && std::all_of(label.begin(), label.end(), [](char c) {
           return is_letter_or_digit(c) || c == '-' || c == '_';
         });
}

bool is_name(std::string_view host) {
  if (host.size() > kNameMax) return false;
  std::size_t begin = 0;
  std::string_view last;
  while (begin <= host.size()) {
    const std::size_t dot = std::min(host.find('.', begin), host.size());
    last = host.substr(begin, dot - begin);
    if (!is_label(last)) return false;
    begin = dot + 1;
  }
  if (!std::all_of(last.begin(), last.end(), [](char c) { return c >= '0' && c <= '9'; }))
    return true;
  // A last label of digits alone is no name (RFC 3696): it must be an IPv4 address.
  in_addr address;
  return ::inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
}

}  // namespace

ReplicaAddress parse_replica(std::string_view text) {
  ReplicaAddress replica;
  std::string_view rest = text;
  if (const std::size_t comma = rest.find(','); comma != std::string_view::npos) {
    constexpr std::string_view kAgent = "agent=";
    const std::string_view option = rest.substr(comma + 1);
    if (!option.starts_with(kAgent)) refuse(text, "behind the comma only agent=PORT is known");
    replica.agent = parse_port(option.substr(kAgent.size()), text, "the agent's port");
    rest = rest.substr(0, comma);
  }
  const std::size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) refuse(text, "it has no port");
  std::string_view host = rest.substr(0, colon);
  replica.port = parse_port(rest.substr(colon + 1), text, "the port");
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  replica.host = host;
  // inet_pton reads a C string: what lies behind a zero byte must not pass unseen.
  if (host.find('\0') != std::string_view::npos) refuse(text, "its host holds a zero byte");
  if (bracketed ? !is_ipv6(replica.host) : !is_name(host))
    refuse(text, bracketed ? "what is in brackets is no IPv6 address"
                           : "its host is neither a DNS name nor an IP address");
  return replica;
}

std::string endpoint(const ReplicaAddress& replica) {
  const bool ipv6 = replica.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", replica.host, ipv6 ? "]" : "", replica.port);
}

}  // namespace baozi::fleet
