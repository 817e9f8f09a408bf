#include "baozi/net/http.h"

#include <algorithm>
#include <cstring>

namespace baozi::net {
namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool same_name(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

void append_json_escaped(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
}

struct Reason {
  int status;
  std::string_view phrase;
};
// RFC 9110, section 15; 499 is nginx's.
constexpr Reason kReasons[] = {
    {100, "Continue"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

// What a request of make_request points into.
struct OwnedRequest {
  std::string target;
  std::vector<std::pair<std::string, std::string>> texts;
  std::vector<HttpHeader> fields;
};

}  // namespace

std::string_view method_name(HttpMethod method) noexcept {
  switch (method) {
    case HttpMethod::kGet:
      return "GET";
    case HttpMethod::kHead:
      return "HEAD";
    case HttpMethod::kPost:
      return "POST";
    case HttpMethod::kPut:
      return "PUT";
    case HttpMethod::kDelete:
      return "DELETE";
    case HttpMethod::kOptions:
      return "OPTIONS";
    case HttpMethod::kPatch:
      return "PATCH";
  }
  return "";
}

const HttpHeader* HttpHeaders::find(std::string_view name) const noexcept {
  for (const HttpHeader& field : fields_) {
    if (same_name(field.name, name)) return &field;
  }
  return nullptr;
}

std::string_view HttpHeaders::get(std::string_view name) const noexcept {
  const HttpHeader* field = find(name);
  return field != nullptr ? field->value : std::string_view();
}

std::string_view HttpRequest::query() const noexcept {
  const std::size_t mark = target.find('?');
  return mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
}

HttpRequest make_request(HttpMethod method, std::string target,
                         std::vector<std::pair<std::string, std::string>> headers,
                         std::string_view body) {
  auto owned = std::make_shared<OwnedRequest>();
  owned->target = std::move(target);
  owned->texts = std::move(headers);
  for (const auto& [name, value] : owned->texts) owned->fields.push_back({name, value});

  HttpRequest request;
  request.method = method;
  request.method_text = method_name(method);
  request.target = owned->target;
  request.headers = HttpHeaders(owned->fields);
  request.peer = "local";
  Bytes block = Bytes::allocate(body.size() + HttpRequest::kBodyPadding);
  std::memset(block.mutable_data() + body.size(), 0, HttpRequest::kBodyPadding);
  if (!body.empty()) std::memcpy(block.mutable_data(), body.data(), body.size());
  request.body = block.slice(0, body.size());
  request.memory = std::move(owned);
  return request;
}

std::size_t HttpResponse::content_length() const noexcept {
  std::size_t length = body.size();
  for (const Bytes& segment : segments) length += segment.size();
  return length;
}

HttpResponse error_response(int status, std::string_view message) {
  HttpResponse response;
  response.status = status;
  response.body = "{\"error\":\"";
  append_json_escaped(response.body, message);
  response.body += "\"}";
  return response;
}

std::string_view reason_phrase(int status) noexcept {
  for (const Reason& reason : kReasons) {
    if (reason.status == status) return reason.phrase;
  }
  return "Unknown";
}

}  // namespace baozi::net
