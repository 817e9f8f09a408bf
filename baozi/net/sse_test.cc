#include "baozi/net/sse.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace baozi::net {
namespace {

// What a browser has of one event: the lines' data, joined by LF. Lines end at LF, CR or CR LF.
std::string data_of(std::string_view event) {
  std::string data;
  while (!event.starts_with('\n')) {
    EXPECT_TRUE(event.starts_with("data: ")) << event;
    const std::size_t end = event.find_first_of("\r\n");
    if (end == std::string_view::npos) return "no end";
    data.append(event.substr(6, end - 6)) += '\n';
    event.remove_prefix(end + (event.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  EXPECT_EQ(event, "\n") << "an event ends with its first empty line";
  data.pop_back();
  return data;
}

TEST(SseTest, a_line_is_one_field_and_an_empty_line_ends_the_event) {
  EXPECT_EQ(sse_event("hello"), "data: hello\n\n");
  EXPECT_EQ(sse_event(""), "data: \n\n");
  EXPECT_EQ(sse_event(" [DONE] "), "data:  [DONE] \n\n");
}

TEST(SseTest, each_line_of_the_data_is_a_field_of_its_own) {
  EXPECT_EQ(sse_event("a\nb"), "data: a\ndata: b\n\n");
  EXPECT_EQ(sse_event("a\r\nb\rc"), "data: a\ndata: b\ndata: c\n\n");
  EXPECT_EQ(sse_event("a\n"), "data: a\ndata: \n\n");
  EXPECT_EQ(sse_event("\n\n"), "data: \ndata: \ndata: \n\n");
  EXPECT_EQ(sse_event("x\n\nevent: y"), "data: x\ndata: \ndata: event: y\n\n");
}

TEST(SseTest, several_events_may_make_one_piece) {
  std::string piece = sse_event("one");
  append_sse_event(piece, "two");
  EXPECT_EQ(piece, "data: one\n\ndata: two\n\n");
}

TEST(SseTest, a_reader_has_the_data_again) {
  std::mt19937 random(7);
  const std::string_view alphabet = "a: \r\n\xc3";
  for (int round = 0; round < 2000; ++round) {
    std::string data;
    for (std::size_t i = random() % 12; i > 0; --i) data += alphabet[random() % alphabet.size()];
    std::string expected;
    for (std::size_t i = 0; i < data.size(); ++i) {
      if (data[i] == '\r' && i + 1 < data.size() && data[i + 1] == '\n') continue;
      expected += data[i] == '\r' ? '\n' : data[i];
    }
    EXPECT_EQ(data_of(sse_event(data)), expected) << testing::PrintToString(data);
  }
}

}  // namespace
}  // namespace baozi::net
