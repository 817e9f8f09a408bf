#include "baozi/llm/prompt_lookup.h"

#include <algorithm>
#include <bit>
#include <cstdint>

namespace baozi::llm {

using engine::Token;

namespace {

// So many tokens must be the same: fewer are the same by chance.
constexpr std::size_t kSame = 3;

}  // namespace

PromptLookup::PromptLookup(std::span<const Token> prompt, int longest, std::size_t window)
    : longest_(longest),
      length_(longest),
      places_(std::bit_ceil(2 * std::max(window, prompt.size()))) {
  text_.reserve(std::max(window, prompt.size()) + 1);
  for (const Token token : prompt) add(token);
}

void PromptLookup::add(Token token) {
  text_.push_back(token);
  found_ = 0;
  if (text_.size() < kSame) return;
  const std::size_t end = text_.size();
  std::size_t& place = places_[slot(end)];
  // Others may have the same hash.
  const auto latest = std::span(text_).last(kSame);
  if (place > 0 && std::ranges::equal(latest, std::span(text_).subspan(place - kSame, kSame)))
    found_ = place;
  place = end;
}

std::span<const Token> PromptLookup::guess() const {
  if (found_ == 0) return {};
  const auto follows = std::span(text_).subspan(found_);
  return follows.first(std::min(follows.size(), static_cast<std::size_t>(length_)));
}

void PromptLookup::was(int computed, int right) {
  if (computed == 0) return;
  length_ = right == computed ? std::min(length_ * 2, longest_) : std::max(right, 1);
}

std::size_t PromptLookup::slot(std::size_t end) const {
  std::uint64_t hash = 0;
  for (std::size_t i = end - kSame; i < end; ++i)
    hash = (hash ^ static_cast<std::uint32_t>(text_[i])) * 0x9E3779B97F4A7C15U;
  return static_cast<std::size_t>(hash >> 20U) & (places_.size() - 1);
}

}  // namespace baozi::llm
