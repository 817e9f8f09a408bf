#include "baozi/net/response_head.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "baozi/base/log.h"

namespace baozi::net {
namespace {

bool printable(std::string_view value) noexcept {
  return std::none_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  });
}

void append_number(std::string& text, std::size_t number) {
  const fmt::format_int digits(number);
  text.append(digits.data(), digits.size());
}

}  // namespace

std::string_view ResponseHead::format(const HttpResponse& response, bool keep_alive, int version) {
  text_.clear();
  if (response.status == 200) {
    text_ += "HTTP/1.1 200 OK\r\n";
  } else {
    text_ += "HTTP/1.1 ";
    append_number(text_, static_cast<std::size_t>(response.status));
    text_ += ' ';
    text_ += reason_phrase(response.status);
    text_ += "\r\n";
  }
  if (has_body(response.status)) {
    if (!response.content_type.empty()) {
      text_ += "Content-Type: ";
      text_ += response.content_type;
      text_ += "\r\n";
    }
    if (response.stream == nullptr) {
      text_ += "Content-Length: ";
      append_number(text_, response.content_length());
      text_ += "\r\n";
    } else if (version >= 11) {
      text_ += "Transfer-Encoding: chunked\r\n";
    }
  }
  append_date();
  if (!keep_alive) {
    text_ += "Connection: close\r\n";
  } else if (version == 10) {
    text_ += "Connection: keep-alive\r\n";
  }
  for (const HttpResponseHeader& header : response.headers) {
    if (!printable(header.value)) {
      log().error("response header {} is left out: its value holds control characters",
                  header.name);
      continue;
    }
    text_ += header.name;
    text_ += ": ";
    text_ += header.value;
    text_ += "\r\n";
  }
  text_ += "\r\n";
  return text_;
}

void ResponseHead::append_date() {
  std::timespec now{};
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != date_second_) {
    date_second_ = now.tv_sec;
    date_.clear();
    fmt::format_to(std::back_inserter(date_), "Date: {:%a, %d %b %Y %H:%M:%S} GMT\r\n",
                   fmt::gmtime(now.tv_sec));
  }
  text_ += date_;
}

}  // namespace baozi::net
