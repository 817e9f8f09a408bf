#include "baozi/llm/answer_text.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace baozi::llm {
namespace {

// The length of the longest end of `text` that is the beginning of `stop`, but not all of it.
std::size_t begun(std::string_view text, std::string_view stop) {
  std::size_t length = std::min(text.size(), stop.size() - 1);
  while (length > 0 && !stop.starts_with(text.substr(text.size() - length))) --length;
  return length;
}

}  // namespace

AnswerText::AnswerText(std::vector<std::string> stops) : stops_(std::move(stops)) {
  assert(std::ranges::none_of(stops_, &std::string::empty));
}

std::string AnswerText::add(std::string_view bytes) {
  if (stopped_) return {};
  return take(characters_.add(bytes));
}

std::string AnswerText::finish() {
  if (stopped_) return {};
  std::string text = take(characters_.finish());
  if (!stopped_) text += held_;
  held_.clear();
  return text;
}

std::string AnswerText::take(std::string text) {
  if (stops_.empty()) return text;
  held_ += text;
  std::size_t end = std::string::npos;
  for (const std::string& stop : stops_) end = std::min(end, held_.find(stop));
  if (end != std::string::npos) {
    stopped_ = true;
  } else {
    std::size_t keep = 0;
    for (const std::string& stop : stops_) keep = std::max(keep, begun(held_, stop));
    end = held_.size() - keep;
  }
  text.assign(held_, 0, end);
  held_.erase(0, end);
  return text;
}

}  // namespace baozi::llm
