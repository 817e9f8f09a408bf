// Answers of the KServe and TensorFlow Serving protocols that are made in several places.
//
// Thread safety: free functions.
#pragma once

#include <string>
#include <utility>

#include "baozi/api/hold.h"
#include "baozi/api/kserve_format.h"
#include "baozi/base/error.h"
#include "baozi/net/http.h"

namespace baozi::api {

inline net::HttpResponse json_response(std::string body, int status = 200) {
  net::HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

// With Retry-After where waiting may help.
inline net::HttpResponse error_answer(const Error& error) {
  net::HttpResponse response =
      json_response(format_error(error.message()), http_status(error.code()));
  if (const int seconds = retry_after_s(error); seconds > 0)
    response.headers.push_back({"Retry-After", std::to_string(seconds)});
  return response;
}

}  // namespace baozi::api
