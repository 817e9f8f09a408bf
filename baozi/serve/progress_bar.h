// ProgressBar: a line at the foot of a terminal that says how far something is, and is gone when it
// is done. Nothing where standard error is no terminal.
//
//   ProgressBar bar("minilm warms up");
//   bar.show(0.4);                           minilm warms up [########            ]  40 %
//
// Thread safety: one thread at a time.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "baozi/base/clock.h"

namespace baozi::serve {

// The line's text; `fraction` in [0, 1].
std::string draw_progress(std::string_view what, double fraction);

class ProgressBar {
 public:
  // `to` outlives it.
  explicit ProgressBar(std::string what, std::FILE* to = stderr);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void show(double fraction);  // 1: the line goes

 private:
  void write_line(const std::string& text);

  const std::string what_;
  std::FILE* const to_;
  const bool terminal_;
  bool shown_ = false;
  Time next_{};  // not drawn more often than an eye sees
};

}  // namespace baozi::serve
