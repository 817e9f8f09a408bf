#include "baozi/api/openai_error.h"

#include "baozi/api/json_writer.h"

namespace baozi::api {
namespace {

// OpenAI's names; for what it has no name for, llama-server's.
std::string_view type_of(int status) {
  switch (status) {
    case 429:
      return "rate_limit_error";
    case 501:
      return "not_supported_error";
    case 503:
      return "unavailable_error";
    case 504:
      return "timeout_error";
    default:
      return status < 500 ? "invalid_request_error" : "server_error";
  }
}

void append_text_or_null(std::string& out, std::string_view text) {
  if (text.empty()) {
    out += "null";
  } else {
    append_json_text(out, text);
  }
}

}  // namespace

std::string format_openai_error(const Error& error) {
  const auto* field = dynamic_cast<const FieldError*>(&error);
  std::string out = R"({"error":{"message":)";
  append_json_text(out, error.message());
  out += R"(,"type":")";
  out += type_of(http_status(error.code()));
  out += R"(","param":)";
  append_text_or_null(out, field != nullptr ? field->field() : std::string_view());
  out += R"(,"code":)";
  append_text_or_null(out, field != nullptr ? field->reason() : std::string_view());
  out += "}}";
  return out;
}

net::HttpResponse openai_error(const Error& error, int retry_after_s) {
  net::HttpResponse response;
  response.status = http_status(error.code());
  response.body = format_openai_error(error);
  if (retry_after_s > 0) response.headers.push_back({"Retry-After", std::to_string(retry_after_s)});
  return response;
}

}  // namespace baozi::api
