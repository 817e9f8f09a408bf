#include "apps/waterfall.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace baozi::apps {
namespace {

constexpr int kRowHeight = 22;
constexpr int kNameWidth = 220;
constexpr int kBarsWidth = 640;
constexpr int kTimeWidth = 110;

double last_end(const std::vector<Bar>& bars) {
  double end = 0;
  for (const Bar& bar : bars) end = std::max(end, bar.end);
  return std::max(end, 1e-3);
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string repeated(const char* text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

}  // namespace

std::string draw_text(const std::vector<Bar>& bars, int columns, bool colour) {
  std::size_t longest = 0;
  for (const Bar& bar : bars) longest = std::max(longest, bar.name.size());
  const std::size_t names = std::min<std::size_t>(longest, 32);
  constexpr int kTimes = 24;  // " 1234.5 …  1234.5 ms"
  const int width = std::max(columns - static_cast<int>(names) - kTimes, 10);
  const double scale = width / last_end(bars);
  std::string out;
  for (const Bar& bar : bars) {
    const int from = std::min(static_cast<int>(std::floor(bar.start * scale)), width - 1);
    const int to = std::clamp(static_cast<int>(std::ceil(bar.end * scale)), from + 1, width);
    out += fmt::format("{:<{}} {}{}{}{}{} {:>7.1f} … {:>7.1f} ms\n", bar.name.substr(0, names),
                       names, std::string(static_cast<std::size_t>(from), ' '),
                       colour ? "\033[36m" : "", repeated("█", to - from), colour ? "\033[0m" : "",
                       std::string(static_cast<std::size_t>(width - to), ' '), bar.start, bar.end);
  }
  return out;
}

std::string draw_svg(const std::vector<Bar>& bars, const std::string& title) {
  const double scale = kBarsWidth / last_end(bars);
  const int height = kRowHeight * (static_cast<int>(bars.size()) + 2);
  std::string out = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="{}" font-family="sans-serif" )"
      R"(font-size="13">)"
      "\n"
      R"(<rect width="100%" height="100%" fill="white"/><text x="8" y="18">{}</text>)"
      "\n",
      kNameWidth + kBarsWidth + kTimeWidth, height, escaped(title));
  int y = kRowHeight + 6;
  for (const Bar& bar : bars) {
    const double x = kNameWidth + bar.start * scale;
    const double width = std::max((bar.end - bar.start) * scale, 1.0);
    out += fmt::format(
        R"(<text x="8" y="{}">{}</text><rect x="{:.1f}" y="{}" width="{:.1f}" height="{}" )"
        R"(fill="#3b82a0"/><text x="{}" y="{}">{:.1f} ms</text>)"
        "\n",
        y + 14, escaped(bar.name), x, y + 2, width, kRowHeight - 6, kNameWidth + kBarsWidth + 8,
        y + 14, bar.end - bar.start);
    y += kRowHeight;
  }
  out += "</svg>\n";
  return out;
}

}  // namespace baozi::apps
