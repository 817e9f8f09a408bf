#include "baozi/net/http.h"

#include <algorithm>
#include <cstring>

namespace baozi::net {
namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool same_name(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
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

// What a request of make_request points into.
struct OwnedRequest {
  std::string target;
  std::vector<std::pair<std::string, std::string>> texts;
  std::vector<HttpHeader> fields;
};

}  // namespace

std::string_view method_name(HttpMethod method) noexcept {
  switch (method) {
    case HttpMethod::kGet: return "GET";
    case HttpMethod::kHead: return "HEAD";
    case HttpMethod::kPost: return "POST";
    case HttpMethod::kPut: return "PUT";
    case HttpMethod::kDelete: return "DELETE";
    case HttpMethod::kOptions: return "OPTIONS";
    case HttpMethod::kPatch: return "PATCH";
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
                         std::vector<std::pair<std::string, std::string>> headers, std::string_view body) {
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
  switch (status) {
    case 100: return "Continue";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
  }
}

}  // namespace baozi::net
