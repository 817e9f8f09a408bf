#include "baozi/serve/progress_bar.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "baozi/base/clock.h"

namespace baozi::serve {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view kClear = "\r\x1b[K";

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

// A stream, and what came out at its other end.
class Wire {
 public:
  static Wire terminal() {
    const int screen = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (screen < 0 || ::grantpt(screen) != 0 || ::unlockpt(screen) != 0) std::abort();
    std::array<char, 64> name{};
    if (::ptsname_r(screen, name.data(), name.size()) != 0) std::abort();
    return {::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC), screen};
  }
  static Wire pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::abort();
    return {ends[1], ends[0]};
  }

  std::FILE* stream() { return to_.get(); }
  // All that was written since the last call. What a terminal hands on takes its time, so a mark is
  // sent behind it.
  std::string read() {
    constexpr char kMark = '\x01';
    if (::write(::fileno(to_.get()), &kMark, 1) != 1) std::abort();
    std::string text;
    while (!text.ends_with(kMark)) {
      std::array<char, 4096> piece{};
      const ssize_t got = ::read(::fileno(from_.get()), piece.data(), piece.size());
      if (got <= 0) std::abort();
      text.append(piece.data(), static_cast<std::size_t>(got));
    }
    text.pop_back();
    return text;
  }

 private:
  Wire(int to, int from) : to_(::fdopen(to, "w")), from_(::fdopen(from, "r")) {}

  File to_;
  File from_;
};

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

TEST(DrawProgress, TheBarHasOneWidth) {
  EXPECT_EQ(draw_progress("minilm warms up", 0.4), "minilm warms up [########            ]  40 %");
  EXPECT_EQ(draw_progress("m", 0), "m [                    ]   0 %");
  EXPECT_EQ(draw_progress("m", 1), "m [####################] 100 %");
  EXPECT_EQ(draw_progress("m", -3), draw_progress("m", 0));
  EXPECT_EQ(draw_progress("m", 7), draw_progress("m", 1));
}

TEST(ProgressBar, ATerminalShowsItAndForgetsItWhenItIsDone) {
  Wire wire = Wire::terminal();
  ProgressBar bar("minilm warms up", wire.stream());
  EXPECT_EQ(wire.read(), "") << "nothing is known yet";
  bar.show(0.4);
  // The cursor goes back to the line's beginning, so that a line of the log overwrites it.
  EXPECT_EQ(wire.read(), std::string(kClear) + draw_progress("minilm warms up", 0.4) + "\r");
  bar.show(1);
  EXPECT_EQ(wire.read(), kClear);
  bar.show(1);
  EXPECT_EQ(wire.read(), "") << "it is gone already";
}

TEST(ProgressBar, WhatEndsEarlyLeavesNothingBehind) {
  Wire wire = Wire::terminal();
  {
    ProgressBar bar("m", wire.stream());
    bar.show(0.1);
    EXPECT_THAT(wire.read(), HasSubstr("10 %"));
  }
  EXPECT_EQ(wire.read(), kClear);
  {
    const ProgressBar never_shown("m", wire.stream());
  }
  EXPECT_EQ(wire.read(), "");
}

// What is done before it was ever drawn needs no line.
TEST(ProgressBar, WhatIsDoneAtOnceIsNotShown) {
  Wire wire = Wire::terminal();
  ProgressBar bar("m", wire.stream());
  bar.show(1);
  EXPECT_EQ(wire.read(), "");
}

TEST(ProgressBar, ItIsDrawnNoMoreOftenThanAnEyeSees) {
  Wire wire = Wire::terminal();
  ProgressBar bar("m", wire.stream());
  const Time start = Clock::now();
  std::string text;
  for (int i = 0; i < 2'000; ++i) {
    bar.show(i / 2'000.0);
    text += wire.read();
  }
  const auto most =
      static_cast<std::size_t>((Clock::now() - start) / std::chrono::milliseconds(50));
  EXPECT_GE(count(text, kClear), 1u);
  EXPECT_LE(count(text, kClear), most + 1);
  EXPECT_THAT(text, StartsWith(kClear));
  EXPECT_THAT(text, EndsWith("\r"));
  EXPECT_THAT(text, Not(HasSubstr("\n"))) << "the screen would scroll";
}

TEST(ProgressBar, APipeAndAFileGetNoByte) {
  Wire wire = Wire::pipe();
  const File file(std::tmpfile());
  ASSERT_NE(file, nullptr);
  for (std::FILE* to : {wire.stream(), file.get()}) {
    ProgressBar bar("m", to);
    bar.show(0.1);
    bar.show(1);
    bar.show(0.2);
  }
  EXPECT_EQ(wire.read(), "");
  EXPECT_EQ(std::ftell(file.get()), 0);
}

}  // namespace
}  // namespace baozi::serve
