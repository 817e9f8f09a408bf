// Errors as OpenAI's API gives them, and which field of a request is at fault.
//
// Thread safety: free functions; a FieldError is a value.
//
//   throw FieldError("temperature", "'temperature' must be from 0 to 2, it is 5");
//   return openai_error(error);
//   // 400 {"error":{"message":"'temperature' …","type":"invalid_request_error",
//   //               "param":"temperature","code":null}}
#pragma once

#include <source_location>
#include <string>
#include <string_view>

#include "baozi/base/error.h"
#include "baozi/net/http.h"

namespace baozi::api {

// Codes that clients look at.
inline constexpr std::string_view kModelNotFound = "model_not_found";
inline constexpr std::string_view kContextLengthExceeded = "context_length_exceeded";

// An Error with what OpenAI's error object says beside the message.
class FieldError final : public Error {
 public:
  // kInvalidArgument. `reason`, OpenAI's "code", has static storage; empty: null.
  FieldError(std::string_view field, std::string message, std::string_view reason = {},
             std::source_location where = std::source_location::current())
      : FieldError(Code::kInvalidArgument, field, std::move(message), reason, where) {}
  FieldError(Code code, std::string_view field, std::string message, std::string_view reason = {},
             std::source_location where = std::source_location::current())
      : Error(code, std::move(message), where), field_(field), reason_(reason) {}

  const std::string& field() const noexcept { return field_; }
  std::string_view reason() const noexcept { return reason_; }

 private:
  std::string field_;
  std::string_view reason_;
};

// {"error":{…}}
std::string format_openai_error(const Error& error);
// With the status that stands for the error. `retry_after_s`: for Retry-After; 0: none, trying
// again does not help.
net::HttpResponse openai_error(const Error& error, int retry_after_s);

}  // namespace baozi::api
