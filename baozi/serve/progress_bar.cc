#include "baozi/serve/progress_bar.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace baozi::serve {
namespace {

constexpr int kWidth = 20;
constexpr Duration kRedraw = std::chrono::milliseconds(50);

}  // namespace

std::string draw_progress(std::string_view what, double fraction) {
  const double part = std::clamp(fraction, 0.0, 1.0);
  const auto full = static_cast<std::size_t>(part * kWidth);
  return fmt::format("{} [{:<{}}] {:3} %", what, std::string(full, '#'), kWidth,
                     static_cast<int>(part * 100));
}

ProgressBar::ProgressBar(std::string what, std::FILE* to)
    : what_(std::move(what)), to_(to), terminal_(::isatty(::fileno(to)) == 1) {}

ProgressBar::~ProgressBar() {
  if (shown_) write_line("");
}

void ProgressBar::show(double fraction) {
  const Time now = Clock::now();
  if (fraction >= 1 && shown_) {
    shown_ = false;
    return write_line("");
  }
  if (!terminal_ || fraction >= 1 || now < next_) return;
  next_ = now + kRedraw;
  shown_ = true;
  write_line(draw_progress(what_, fraction));
}

void ProgressBar::write_line(const std::string& text) {
  // To its beginning, the rest of it cleared (ECMA-48 EL); the next log line goes over it.
  const std::string line = "\r\x1b[K" + text + (text.empty() ? "" : "\r");
  std::fwrite(line.data(), 1, line.size(), to_);
  std::fflush(to_);
}

}  // namespace baozi::serve
