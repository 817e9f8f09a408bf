// Server-sent events: a streamed body of content type text/event-stream, as the WHATWG HTML
// standard has it (section 9.2, https://html.spec.whatwg.org/multipage/server-sent-events.html).
//
// Thread safety: all functions.
//
//   response.content_type = net::kSseContentType;
//   co_return net::sse_event(R"({"text":"Hi"})");  // from BodyStream::next
#pragma once

#include <string>
#include <string_view>

namespace baozi::net {

inline constexpr std::string_view kSseContentType = "text/event-stream";

// One event with this data: "data: <line>\n" for each line of it, then an empty line. A client that
// reads it has the data again, but that CR and CR LF, which end lines too, come out as LF.
std::string sse_event(std::string_view data);
// The same behind what is in `out`: several events may make one piece.
void append_sse_event(std::string& out, std::string_view data);

}  // namespace baozi::net
