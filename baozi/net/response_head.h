// The head of an HTTP response as text, and the Date it carries.
//
// Thread safety: none; one instance a server.
#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "baozi/net/http.h"

namespace baozi::net {

class ResponseHead {
 public:
  // Replaces the text by the head of `response`: status line to empty line. `keep_alive` is what
  // will happen to the connection, `version` the request's. A header whose value holds control
  // characters is left out and logged. The view is good until the next call.
  std::string_view format(const HttpResponse& response, bool keep_alive, int version);

  // Whether the status allows a body at all (1xx, 204 and 304 do not).
  static bool has_body(int status) noexcept {
    return status >= 200 && status != 204 && status != 304;
  }

 private:
  void append_date();

  std::string text_;
  std::string date_;  // "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
  std::time_t date_second_ = 0;
};

}  // namespace baozi::net
