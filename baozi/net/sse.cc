#include "baozi/net/sse.h"

namespace baozi::net {

std::string sse_event(std::string_view data) {
  std::string event;
  append_sse_event(event, data);
  return event;
}

void append_sse_event(std::string& out, std::string_view data) {
  for (bool more = true; more;) {
    const std::size_t end = data.find_first_of("\r\n");
    more = end != std::string_view::npos;
    out += "data: ";
    out += data.substr(0, end);
    out += '\n';
    if (more) data.remove_prefix(end + (data.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  out += '\n';
}

}  // namespace baozi::net
