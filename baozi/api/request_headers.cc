#include "baozi/api/request_headers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "baozi/base/error.h"

namespace baozi::api {
namespace {

constexpr std::uint64_t kTimeoutMsMax = 86'400'000;

}  // namespace

std::optional<std::uint64_t> number_header(const net::HttpRequest& request, std::string_view name) {
  const net::HttpHeader* header = request.headers.find(name);
  if (header == nullptr) return std::nullopt;
  std::uint64_t number = 0;
  const char* end = header->value.data() + header->value.size();
  const std::from_chars_result read = std::from_chars(header->value.data(), end, number);
  if (read.ec != std::errc() || read.ptr != end) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("the header {} must be a whole number, it is '{}'", name, header->value));
  }
  return number;
}

Duration timeout_header(const net::HttpRequest& request) {
  const std::uint64_t ms = number_header(request, kTimeoutHeader).value_or(0);
  return std::chrono::milliseconds(std::min(ms, kTimeoutMsMax));
}

void check_encoding(const net::HttpRequest& request) {
  const std::string_view encoding = request.headers.get("Content-Encoding");
  if (encoding.empty() || encoding == "identity") return;
  throw Error(Code::kInvalidArgument,
              fmt::format("Content-Encoding '{}' is not read; send the body as it is", encoding));
}

}  // namespace baozi::api
