// A start drawn as a waterfall: a bar a phase, on a terminal and as SVG.
//
// Thread safety: free functions.
#pragma once

#include <string>
#include <vector>

namespace baozi::apps {

// Milliseconds since exec.
struct Bar {
  std::string name;
  double start = 0;
  double end = 0;
};

// Lines of at most `columns`, the last bar ending at the right edge; `colour` for a terminal.
std::string draw_text(const std::vector<Bar>& bars, int columns, bool colour);
// A document of its own.
std::string draw_svg(const std::vector<Bar>& bars, const std::string& title);

}  // namespace baozi::apps
