// Hostile bytes for the request parser. The first byte says in how small pieces they arrive;
// whatever comes out must be the same as when they arrive at once, and every byte of it readable.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "baozi/net/request_parser.h"

namespace {

using namespace baozi::net;

void require(bool condition) {
  if (!condition) std::abort();
}

// Everything a handler could look at, as one text.
std::string described(const HttpRequest& request) {
  std::string text(request.method_text);
  text.append(" ")
      .append(request.path())
      .append("?")
      .append(request.query())
      .append(request.keep_alive ? " keep" : " close");
  for (const HttpHeader& header : request.headers)
    text.append("\n").append(header.name).append(":").append(header.value);
  text.append("\n\n").append(request.body.text());
  for (std::size_t i = 0; i < HttpRequest::kBodyPadding; ++i) {
    require(request.body.data()[request.body.size() + i] == std::byte{0});
  }
  return text;
}

std::vector<std::string> parse(std::string_view bytes, std::size_t step) {
  using Status = RequestParser::Status;
  static const RequestLimits limits{.head_bytes_max = 4096,
                                    .headers_max = 20,
                                    .body_bytes_max = 10'000,
                                    .body_offset_header = "Inference-Header-Content-Length"};
  RequestParser parser(limits, "fuzz");
  std::vector<std::string> requests;
  Status status = Status::kNeedMore;
  while (status != Status::kRefused) {
    if (status == Status::kReady) {
      requests.push_back(described(parser.take()));
      status = parser.next();
      continue;
    }
    if (bytes.empty()) return requests;
    const std::span<char> room = parser.prepare();
    require(!room.empty());
    const std::size_t count = std::min({room.size(), step, bytes.size()});
    std::memcpy(room.data(), bytes.data(), count);
    bytes.remove_prefix(count);
    status = parser.commit(count);
  }
  require(parser.refusal().status >= 400 && !parser.refusal().message.empty());
  return requests;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::vector<std::string> whole = parse(bytes, bytes.size() + 1);
  const std::vector<std::string> pieces = parse(bytes, 1 + data[0] % 64);
  require(whole == pieces);
  return 0;
}
